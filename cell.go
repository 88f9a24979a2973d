package juncture

// Cell is everything the ledger has folded at one intersection of one experiment.
type Cell struct {
	Experiment   string
	Intersection Intersection
	Rows         []CellRow // in order of arm, group, event
}

// CellRow is one tally of a cell. The empty Event holds the trials, one row per outcome name the rest.
type CellRow struct {
	Arm   ArmID
	Group Group
	Event string
	Tally
}
