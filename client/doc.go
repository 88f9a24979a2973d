// Package client is the Go client of Juncture's HTTP API: it asks for decisions, tells what came of them and reads who
// wins where. It needs nothing but the standard library.
//
// A Client is safe for concurrent use and reuses its connections: make one and keep it. A failed call returns a
// *juncture.Error with the code that the server gave; errors.As with a *Problem has all that the server said of it.
package client
