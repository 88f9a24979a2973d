// Package testkit is what tests of several packages share: a clock that stands still, seeded randomness, a small store
// and a node that can be stopped and started again on the same database.
package testkit
