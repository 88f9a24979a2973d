// Package interval holds the statistics of lifts (docs/statistics.md, section E): fixed-horizon and anytime-valid
// intervals of a difference between groups, what to correct when many claims are made, how many shoppers a decision
// needs, and the gate that expands an experiment. Pure functions of sufficient statistics; the unit is the shopper.
package interval
