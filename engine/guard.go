package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/health"
)

// Guards judges the guards of experiments by what closed shoppers did, a day at a time (statistics E.7, H.4): it reads the
// rollup anew each time it is asked, so that a restart, or another node, comes to the same verdict. It is a Breaker.
type Guards struct {
	Units  EnrolmentStore
	Config ConfigStore
}

// Trips replays the days since the last reset. A shopper counts from the day on which the horizon closed; of those who were
// enrolled before the reset none does.
func (g Guards) Trips(ctx context.Context, x juncture.Experiment, since, now time.Time) ([]Trip, error) {
	catalog, err := g.Config.Catalog(ctx)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if _, err := g.Units.CloseUnits(ctx, now); err != nil {
		return nil, fmt.Errorf("close units: %w", err)
	}
	rows, err := g.Units.UnitRows(ctx, x.ID)
	if err != nil {
		return nil, fmt.Errorf("read units: %w", err)
	}
	from := time.Time{}
	if !since.IsZero() {
		from = since.Add(x.HorizonOf())
	}
	byDay := map[time.Time]map[juncture.Group]juncture.UnitSums{}
	var days []time.Time
	for _, r := range rows {
		if r.Day.IsZero() || r.Day.Before(from) || r.Day.Add(24*time.Hour).After(now) { // the day that is not over is not judged
			continue
		}
		if byDay[r.Day] == nil {
			byDay[r.Day] = map[juncture.Group]juncture.UnitSums{}
			days = append(days, r.Day)
		}
		byDay[r.Day][r.Group] = byDay[r.Day][r.Group].Plus(r.UnitSums)
	}
	slices.SortFunc(days, time.Time.Compare)
	var out []Trip
	for _, guard := range x.Guards {
		i := slices.IndexFunc(catalog.Declaration.Outcomes, func(o juncture.OutcomeType) bool { return o.Name == guard.Outcome })
		if i < 0 {
			continue // it cannot be declared so
		}
		w, err := health.NewWatch(watched(guard, catalog.Declaration.Outcomes[i], catalog.Declaration.Store.Currency))
		if err != nil {
			return nil, err
		}
		for _, day := range days {
			if err := w.Add(batch(byDay[day][juncture.GroupPolicy], guard.Outcome), batch(byDay[day][guard.Control()], guard.Outcome)); err != nil {
				return nil, fmt.Errorf("guard %s: %w", guard.Outcome, err)
			}
			why, harm, err := w.Harm(guard.Level(), guard.Control())
			if err != nil {
				return nil, err
			}
			if harm {
				out = append(out, Trip{Guard: guard, Why: why})
				break
			}
		}
	}
	return out, nil
}

// watched is a guard as package health knows it: money is compared by its value per shopper, the rest by the share of
// shoppers with one.
func watched(g juncture.Guard, o juncture.OutcomeType, currency string) health.Guard {
	out := health.Guard{Name: experiments.Title(g.Outcome), Outcome: g.Outcome, Margin: g.Margin, Direction: health.MustNotRise}
	if g.Direction == juncture.GuardBelow {
		out.Direction = health.MustNotFall
	}
	if o.Type == juncture.OutcomeMoney {
		out.Money, out.Currency = true, currency
	}
	return out
}

func batch(u juncture.UnitSums, outcome string) health.Batch {
	e := u.Event(outcome, false)
	return health.Batch{Units: u.Units, Successes: e.Any, Value: float64(e.Value), ValueSq: math.Max(0, e.ValueSq.Float())}
}
