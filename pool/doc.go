// Package pool holds what a merchant has approved: versions of actions, copy and priorities, the rules that make them
// eligible, the live snapshot that decisions are made from, and the plan of a change with its diff.
package pool
