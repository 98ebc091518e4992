package tenure

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSON and base64url with one meaning for every text. Refused: a key given twice at any depth (two
// readers would see two documents), deep nesting, and text that is not Unicode.

const depthMax = 8

type members = map[string]interface{}

// readJSON gives maps, lists, json.Number, string, bool and nil.
func readJSON(data []byte) (interface{}, error) {
	if !json.Valid(data) || !utf8.Valid(data) || loneSurrogate(data) {
		return nil, errors.New("it is not JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return readValue(decoder, 0)
}

func readMembers(data []byte) (members, error) {
	document, err := readJSON(data)
	if err != nil {
		return nil, err
	}
	found, ok := document.(members)
	if !ok {
		return nil, errors.New("it is no object")
	}
	return found, nil
}

func readValue(decoder *json.Decoder, depth int) (interface{}, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	open, nested := token.(json.Delim)
	if !nested {
		return token, nil
	}
	if depth >= depthMax {
		return nil, fmt.Errorf("nested more than %d deep", depthMax)
	}
	if open == '{' {
		return readObject(decoder, depth+1)
	}
	return readList(decoder, depth+1)
}

func readObject(decoder *json.Decoder, depth int) (interface{}, error) {
	found := members{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		if _, twice := found[key]; twice {
			return nil, fmt.Errorf("key `%s` is given twice", shown(key))
		}
		if found[key], err = readValue(decoder, depth); err != nil {
			return nil, err
		}
	}
	_, err := decoder.Token()
	return found, err
}

func readList(decoder *json.Decoder, depth int) (interface{}, error) {
	found := []interface{}{}
	for decoder.More() {
		item, err := readValue(decoder, depth)
		if err != nil {
			return nil, err
		}
		found = append(found, item)
	}
	_, err := decoder.Token()
	return found, err
}

// loneSurrogate finds half a character in an escape, which encoding/json would replace in silence.
func loneSurrogate(data []byte) bool {
	for at := 0; at < len(data); at++ {
		if data[at] != '\\' {
			continue
		}
		unit, escaped := escapedUnit(data[at:])
		if !escaped {
			at++
			continue
		}
		at += 5
		if unit < 0xd800 || unit > 0xdfff {
			continue
		}
		low, follows := escapedUnit(data[at+1:])
		if unit > 0xdbff || !follows || low < 0xdc00 || low > 0xdfff {
			return true
		}
		at += 6
	}
	return false
}

func escapedUnit(data []byte) (uint64, bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	return unit, err == nil
}

// fromBase64url gives the bytes of a canonical text, and refuses any other text.
func fromBase64url(text string) ([]byte, bool) {
	// The library skips line ends.
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return data, err == nil
}

func toBase64url(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
