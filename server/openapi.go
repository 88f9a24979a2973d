package server

import (
	"bytes"
	_ "embed"
)

//go:embed openapi.json
var openapi []byte

// description is the OpenAPI document with the version filled in.
func description(version string) ([]byte, error) {
	return bytes.Replace(openapi, []byte(`"0.0.0-version"`), []byte(`"`+version+`"`), 1), nil
}
