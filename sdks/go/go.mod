module tenure.example/sdk

go 1.19
