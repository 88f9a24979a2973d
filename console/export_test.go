package console

import (
	"context"
)

// What tests outside the package compare pages with.
var (
	ViewLift   = viewLift
	LeastRole  = leastRole
	VerbDone   = verbDone
	VerbTitles = verbTitles
	Files      = files
	Zip        = zip
	ActionOf   = actionOf
)

const (
	FlowLife = flowLife
	MaxForm  = maxForm
)

// Look is one look at the log.
func (l *Live) Look(ctx context.Context) { l.look(ctx) }

// Told is the latest decision that pages were told of.
func (l *Live) Told() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}
