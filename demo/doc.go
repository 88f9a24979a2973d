// Package demo is a made-up shop whose truth is known: shoppers who arrive at intersections as unevenly as real ones do,
// and click with rates that are plain functions of where they stand and what they are shown. Everything follows from one
// seed and the visit's number, so that what Juncture has learnt can be held against what is true.
package demo
