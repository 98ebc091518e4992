// A product that is licensed. Run: LICENSE_KEY=... go run ./examples/product keys.json
package main

import (
	"fmt"
	"os"

	tenure "tenure.example/sdk"
)

func main() {
	// A product ships this text inside itself (go:embed): whoever may replace it may sign.
	keys, _ := os.ReadFile(os.Args[1])
	license, err := tenure.FromEnv(tenure.Options{Product: "incidentfox", Keys: string(keys)})
	if err != nil {
		fmt.Fprintf(os.Stderr, "not licensed (%s): %v\n", tenure.Code(err), err)
		os.Exit(1)
	}
	defer license.Close()

	fmt.Printf("licensed to %s: %s\n", license.License().Customer.Name, license.State())
	teams := license.Limit("teams", tenure.Units(4), tenure.Units(1))
	for _, decision := range []tenure.Decision{license.Work(tenure.New), license.Feature("sso"), teams} {
		fmt.Println(decision.Status, decision.Code, decision.Message)
	}
	if license.Work(tenure.New).Allowed {
		license.Record("agent.run", map[string]string{"runs": "1"})
	}
}
