package tenure

import (
	"encoding/json"
	"os"
)

// What outlives a restart: the time floor, and the last license. Nothing in it is believed without
// its signature, and a file that cannot be read is as good as none.

const stateLenMax = 64 * 1024

type kept struct {
	Floor   int64  `json:"floor"`
	License string `json:"license"`
}

func readState(path string) (state kept) {
	if path == "" {
		return kept{}
	}
	text, err := readText(path, stateLenMax)
	if err != nil || json.Unmarshal([]byte(text), &state) != nil {
		return kept{}
	}
	return state
}

// writeState replaces the file as a whole.
func writeState(path string, state kept) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	beside := path + ".new"
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(beside, path)
}
