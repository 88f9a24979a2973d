// Package arch holds the house's rules as tests: who may import whom and why, that every package says what it is for,
// and that names say something.
package arch
