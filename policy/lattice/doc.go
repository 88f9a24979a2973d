// Package lattice is the pooled policy: every intersection has its own posterior, and its prior comes from the lattice of
// effects around it (docs/statistics.md, sections A to D, whose numbers the comments cite as A.3 and the like).
//
//	Evidence   the integer counts of one experiment and one outcome, added live in any order
//	Fit        a cold penalised fit of the effects to the evidence at a moment: a pure function
//	Snapshot   its immutable result: scores, probability vectors, read-outs, explanations
//
// It knows no clock, store or randomness.
package lattice
