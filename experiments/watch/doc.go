// Package watch says of an experiment, or a holdout, whether its numbers may be believed: it brings the checks of package
// health to what the ledger's tallies and decisions hold. Beside report, which says what groups earned: a reader of lifts
// must be able to trust a judge that has not seen them, and neither needs the other's sums.
package watch
