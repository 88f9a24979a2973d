package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/pool"
)

// Report says what the groups of an experiment, or of a holdout, earned: now, or, of one with over 400 intersections, at
// its AsOf, at most half a minute ago. It is shared and not to be changed. Errors: CodeNotFound, CodeInvalidRequest (a slice
// that cannot be), CodeUnavailable (too many shoppers to add up in time: the next call goes on).
func (e *Engine) Report(ctx context.Context, id string, now time.Time, q report.Query) (report.Report, error) {
	st, err := e.state(ctx)
	if err != nil {
		return report.Report{}, err
	}
	if !declares(st.pool, id) {
		return report.Report{}, notDeclared(id)
	}
	return e.reports.get(ctx, st, keyOf(id, q), now)
}

// declares reports whether there is such an experiment or holdout.
func declares(p *pool.Snapshot, id string) bool {
	return p.Experiments[id] != nil || slices.ContainsFunc(p.Declaration.Holdouts, func(h juncture.Holdout) bool { return h.ID == id })
}

func notDeclared(id string) error {
	return juncture.Errorf(juncture.CodeNotFound, "no experiment or holdout is called %.80q", id)
}

// ReportOf is Engine.Report for who has no engine: a command beside the server.
func ReportOf(ctx context.Context, p *pool.Snapshot, names experiments.Names, tallies *Tallies, enrolments EnrolmentStore, id string, now time.Time, q report.Query) (report.Report, error) {
	r, _, err := reportOf(ctx, p, names, tallies, enrolments, id, now, q)
	return r, err
}

// reportOf says of how many intersections the report is, too.
func reportOf(ctx context.Context, p *pool.Snapshot, names experiments.Names, tallies *Tallies, enrolments EnrolmentStore, id string, now time.Time, q report.Query) (_ report.Report, cells int, _ error) {
	d := &p.Declaration
	src := report.Source{ID: id, Experiment: p.Experiments[id], Outcomes: d.Outcomes, Currency: d.Store.Currency, Arms: armInfo(p, ""), AsOf: now, Names: names}
	if i := slices.IndexFunc(d.Holdouts, func(h juncture.Holdout) bool { return h.ID == id }); i >= 0 {
		src.Holdout = &d.Holdouts[i]
	} else if src.Experiment == nil {
		return report.Report{}, 0, notDeclared(id)
	}
	_, err := enrolments.CloseUnits(ctx, now)
	if errors.Is(err, context.DeadlineExceeded) {
		return report.Report{}, 0, &juncture.Error{Code: juncture.CodeUnavailable, Message: "many shoppers have just closed, and are being added up", RetryAfter: 10 * time.Second, Err: err}
	}
	if err != nil {
		return report.Report{}, 0, fmt.Errorf("close units: %w", err)
	}
	if src.Units, err = enrolments.UnitRows(ctx, id); err != nil {
		return report.Report{}, 0, fmt.Errorf("read units: %w", err)
	}
	if src.Cells, err = tallies.Dated(ctx, id); err != nil {
		return report.Report{}, 0, err
	}
	r, err := report.Build(src, q)
	return r, len(src.Cells), err
}
