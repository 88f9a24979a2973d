// Package health says whether an experiment's numbers may be believed: sample ratios, change-points, rates that should
// not depend on the arm, days that are unlike the days before, entropy, and guards with a circuit breaker (statistics
// E.7, E.11, A.6, A.7). Functions and small states that are folded; no store, clock or randomness.
//
// An e-value is a number >= 0 whose mean is at most 1 while nothing is wrong. An e-process stays one however often and
// whenever it is looked at, so that it passes 1/alpha ever with probability at most alpha (Ville 1939; Ramdas,
// Grünwald, Vovk and Shafer, Game-theoretic statistics and safe anytime-valid inference, Statistical Science 38, 2023).
package health
