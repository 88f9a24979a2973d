// Package simulate is a made-up store whose truth is known: shoppers at intersections, arms with hidden effects, delays,
// seasons, drift and revenue (docs/statistics.md, section F), deterministic from a seed. It plays any Chooser and reports
// its regret as a share of uniform choice's.
package simulate
