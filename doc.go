// Package juncture holds the nouns of Juncture: layers and intersections, surfaces, actions, copy and experiments,
// decisions, outcomes and tallies, with their validation, error codes and the grammars of keys and decision ids.
//
// It does no I/O and knows neither clock nor randomness; every other package may import it, and it imports only the
// standard library. docs/design.md tells the whole story.
package juncture
