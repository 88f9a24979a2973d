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

// Report says what the groups of an experiment, or of a holdout, earned. Errors: CodeNotFound, CodeInvalidRequest (a slice
// that cannot be), CodeUnavailable (too many shoppers to add up in time: the next call goes on).
func (e *Engine) Report(ctx context.Context, id string, now time.Time, q report.Query) (report.Report, error) {
	st, err := e.state(ctx)
	if err != nil {
		return report.Report{}, err
	}
	return ReportOf(ctx, st.pool, e.names(), e.d.Tallies, e.d.Enrolments, id, now, q)
}

// ReportOf is Engine.Report for who has no engine: a command beside the server.
func ReportOf(ctx context.Context, p *pool.Snapshot, names experiments.Names, tallies *Tallies, enrolments EnrolmentStore, id string, now time.Time, q report.Query) (report.Report, error) {
	d := &p.Declaration
	src := report.Source{ID: id, Experiment: p.Experiments[id], Outcomes: d.Outcomes, Currency: d.Store.Currency, Arms: armInfo(p, ""), AsOf: now, Names: names}
	if i := slices.IndexFunc(d.Holdouts, func(h juncture.Holdout) bool { return h.ID == id }); i >= 0 {
		src.Holdout = &d.Holdouts[i]
	} else if src.Experiment == nil {
		return report.Report{}, juncture.Errorf(juncture.CodeNotFound, "no experiment or holdout is called %.80q", id)
	}
	_, err := enrolments.CloseUnits(ctx, now)
	if errors.Is(err, context.DeadlineExceeded) {
		return report.Report{}, &juncture.Error{Code: juncture.CodeUnavailable, Message: "many shoppers have just closed, and are being added up", RetryAfter: 10 * time.Second, Err: err}
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("close units: %w", err)
	}
	if src.Units, err = enrolments.UnitRows(ctx, id); err != nil {
		return report.Report{}, fmt.Errorf("read units: %w", err)
	}
	if src.Cells, err = tallies.Dated(ctx, id); err != nil {
		return report.Report{}, err
	}
	return report.Build(src, q)
}
