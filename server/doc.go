// Package server is the HTTP side of Juncture: it authenticates, limits, decodes, calls the engine and encodes. It holds
// no rules of the domain. docs/api.md describes what it answers; openapi.json is the same for machines.
package server
