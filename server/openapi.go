package server

import (
	"bytes"
	_ "embed"
)

//go:embed openapi.json
var openapi []byte

// Description is the OpenAPI document with the version filled in.
func Description(version string) ([]byte, error) {
	return bytes.Replace(openapi, []byte(`"0.0.0-version"`), []byte(`"`+version+`"`), 1), nil
}
