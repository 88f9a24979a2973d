// Package report says what an experiment's groups, or a holdout's, earned: shoppers, exposures and outcomes of each, and the
// lift of personalising over the page as it would be, with intervals that may be looked at any time (docs/statistics.md,
// section E). Pure functions of enrolments, tallies and the rollup of closed units.
package report
