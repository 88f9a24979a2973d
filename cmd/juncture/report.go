package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/experiments/watch"
	"github.com/juncture/juncture/pool"
	"github.com/juncture/juncture/store"
)

func (a *app) reportCommand() *cobra.Command {
	var at, format string
	var cuped, healthy bool
	var where []string
	c := &cobra.Command{Use: "report [ID...]", Short: "What the groups of experiments and holdouts earned, with their lifts",
		Long: `Report prints each running experiment and each holdout, or those named: shoppers and outcomes of all groups, lifts with
intervals that may be looked at any time, and the gate. It may run beside the server.`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			now := a.now().UTC()
			if at != "" {
				var err error
				if now, err = time.Parse(time.RFC3339, at); err != nil {
					return fmt.Errorf("--at %q is not RFC 3339, such as 2026-01-31T12:00:00Z", at)
				}
			}
			q := report.Query{Cuped: cuped}
			for _, w := range where {
				axis, value, ok := strings.Cut(w, "=")
				if !ok {
					return fmt.Errorf("--where %q is not axis=value", w)
				}
				if q.Slice == nil {
					q.Slice = map[string]string{}
				}
				q.Slice[axis] = value
			}
			return a.withExisting(cmd.Context(), func(db *store.DB) error {
				catalog, err := db.Catalog(cmd.Context())
				if err != nil {
					return err
				}
				p, err := pool.Build(catalog)
				if err != nil {
					return err
				}
				tallies, err := engine.NewTallies(cmd.Context(), db, a.Cells)
				if err != nil {
					return err
				}
				names, err := engine.ClusterNames(cmd.Context(), db)
				if err != nil {
					return err
				}
				if len(ids) == 0 {
					ids = reported(p, now)
				}
				for i, id := range ids {
					r, err := engine.ReportOf(cmd.Context(), p, names, tallies, db, id, now, q)
					if err != nil {
						return err
					}
					var h watch.Health
					if healthy {
						if h, err = engine.HealthOf(cmd.Context(), p, names, tallies, db, id, now, a.watching()); err != nil {
							return err
						}
					}
					switch format {
					case "json":
						if err = json.NewEncoder(a.out).Encode(r); healthy && err == nil {
							err = json.NewEncoder(a.out).Encode(h)
						}
					case "text":
						if i > 0 {
							fmt.Fprintln(a.out)
						}
						if err = report.Write(a.out, r); healthy && err == nil {
							fmt.Fprintln(a.out)
							err = watch.Write(a.out, h)
						}
					default:
						return fmt.Errorf("--format %q is text or json", format)
					}
					if err != nil {
						return err
					}
				}
				if len(ids) == 0 {
					fmt.Fprintln(a.out, "no experiment is running")
				}
				return nil
			})
		}}
	f := c.Flags()
	f.StringVar(&at, "at", "", "as of this time, RFC 3339; left out: now")
	f.StringVar(&format, "format", "text", "text or json")
	f.BoolVar(&healthy, "health", false, "and whether the numbers may be believed")
	f.BoolVar(&cuped, "cuped", false, "adjust for what shoppers had ordered for before they were enrolled")
	f.StringArrayVar(&where, "where", nil, "axis=value: only shoppers who were there at enrolment")
	return c
}

// reported are the holdouts and the running experiments.
func reported(p *pool.Snapshot, now time.Time) []string {
	var out []string
	for _, h := range p.Declaration.Holdouts {
		out = append(out, h.ID)
	}
	for _, x := range p.Declaration.Experiments {
		if x.Live(now) || x.Status == juncture.StatusRunning {
			out = append(out, x.ID)
		}
	}
	return out
}
