// Package experiments holds what a growth team reads and what makes it believable: groups and their salted assignment,
// and read-outs over an experiment's evidence - the winner grid and one intersection. Pure functions of their arguments.
package experiments
