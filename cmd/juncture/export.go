package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/store"
)

// logFlags choose a part of the log.
type logFlags struct {
	experiment string
	from, to   string
}

func (l *logFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&l.experiment, "experiment", "", "of this experiment alone")
	c.Flags().StringVar(&l.from, "from", "", "from this day or time on, such as 2026-05-01 or 2026-05-01T06:00:00Z")
	c.Flags().StringVar(&l.to, "to", "", "before this day or time")
}

// period reads from and to; empty ones are zero.
func (l *logFlags) period() (from, to time.Time, err error) {
	if from, err = parseMoment("--from", l.from); err == nil {
		to, err = parseMoment("--to", l.to)
	}
	if err == nil && !from.IsZero() && !to.IsZero() && !from.Before(to) {
		err = errors.New("--from is not before --to")
	}
	return from, to, err
}

// parseMoment reads a day, which begins at 00:00 UTC, or a time with its zone; empty is the zero time.
func parseMoment(name, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, juncture.Errorf(juncture.CodeInvalidRequest, "%s %.40q is neither a day such as 2026-05-01 nor a time such as 2026-05-01T06:00:00Z", name, s)
	}
	return t.UTC(), nil
}

func (a *app) exportLogCommands() []*cobra.Command {
	var out []*cobra.Command
	for _, what := range []struct {
		name, short string
		columns     []string
		write       func(ctx context.Context, db *store.DB, l logFlags, r rows) error
	}{
		{"decisions", "Every decision with its layers, its exact probability and those of all eligible arms", []string{"decisionId", "time", "experiment", "surface", "shopper", "session", "intersection", "moment", "meaning",
			"trajectory", "catalogue", "group", "share", "arm", "probability", "ranking", "reason", "detail", "active", "ignored", "deferred", "activated", "served", "policyVersion", "rewardUntil"}, a.exportDecisions},
		{"outcomes", "Every outcome, with the decision that it is of", []string{"decisionId", "event", "outcomeId", "value", "currency", "occurredAt", "receivedAt", "status", "adjusts"}, a.exportOutcomes},
		{"events", "Every tracked event as it was sent, less personal data", []string{"at", "received", "name", "shopper", "raw"}, exportEvents},
	} {
		var l logFlags
		var format string
		c := &cobra.Command{Use: what.name, Args: cobra.NoArgs, Short: what.short + ", as a stream",
			RunE: func(cmd *cobra.Command, _ []string) error {
				w := bufio.NewWriterSize(a.out, 64<<10)
				r, err := newRows(w, format, what.columns)
				if err != nil {
					return err
				}
				return a.withExisting(cmd.Context(), func(db *store.DB) error {
					return errors.Join(what.write(cmd.Context(), db, l, r), r.flush(), w.Flush())
				})
			}}
		l.add(c)
		c.Flags().StringVar(&format, "format", "ndjson", "ndjson or csv")
		out = append(out, c)
	}
	return out
}

// rows takes one row after another: a JSON object a line, or a line of CSV.
type rows struct {
	lines   *json.Encoder
	table   *csv.Writer
	columns []string
}

func newRows(w io.Writer, format string, columns []string) (rows, error) {
	r := rows{columns: columns}
	switch format {
	case "ndjson":
		r.lines = json.NewEncoder(w)
		return r, nil
	case "csv":
		r.table = csv.NewWriter(w)
		return r, r.table.Write(columns)
	}
	return r, fmt.Errorf("--format %.20q is neither ndjson nor csv", format)
}

func (r rows) flush() error {
	if r.table == nil {
		return nil
	}
	r.table.Flush()
	return r.table.Error()
}

// row writes v, or its cells in the order of the columns.
func (r rows) row(v any, cells ...any) error {
	if r.table == nil {
		return r.lines.Encode(v)
	}
	if len(cells) != len(r.columns) {
		return fmt.Errorf("%d cells in %d columns", len(cells), len(r.columns))
	}
	line := make([]string, len(cells))
	for i, c := range cells {
		var err error
		if line[i], err = cell(c); err != nil {
			return err
		}
	}
	return r.table.Write(line)
}

// cell writes a value for a table: numbers and times plain, text so that no spreadsheet takes it for a formula, lists as
// JSON.
func cell(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return neutral(v), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case bool:
		return strconv.FormatBool(v), nil
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	case *time.Time:
		if v == nil {
			return "", nil
		}
		return v.Format(time.RFC3339Nano), nil
	case fmt.Stringer:
		return neutral(v.String()), nil
	case json.RawMessage:
		return neutral(string(v)), nil
	}
	b, err := json.Marshal(v)
	return neutral(string(b)), err
}

// neutral is the console's: text that begins with = + - @, in any width, a tab or a line end gets a leading apostrophe;
// null bytes are left out.
func neutral(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	for _, first := range s {
		if strings.ContainsRune("=+-@＝＋－＠\t\r\n", first) {
			return "'" + s
		}
		break
	}
	return s
}

// eachExported calls f for every decision of a part of the log, with its id.
func (a *app) eachExported(ctx context.Context, db *store.DB, l logFlags, f func(intake.DecisionRow, []intake.OutcomeRow) error) error {
	from, to, err := l.period()
	if err != nil {
		return err
	}
	catalog, err := db.Catalog(ctx)
	if err != nil {
		return err
	}
	secrets, err := db.Secrets(ctx, a.random(), a.now())
	if err != nil {
		return err
	}
	ring, err := juncture.NewKeyring(secrets.Signing)
	if err != nil {
		return err
	}
	names := armNames(catalog)
	return db.EachSettled(ctx, l.experiment, from, to, func(s juncture.Settled) error {
		id, ok := ring.SignWith(s.SigningKey, s.Claims)
		if !ok {
			return fmt.Errorf("decision %d was signed with key %d, which is gone", s.Serial, s.SigningKey)
		}
		return f(intake.ExportRows(&s, id, names))
	})
}

func armNames(c *juncture.Catalog) map[juncture.ArmID]juncture.Arm {
	names := make(map[juncture.ArmID]juncture.Arm, len(c.Arms))
	for arm, id := range c.Arms {
		names[id] = arm
	}
	return names
}

func (a *app) exportDecisions(ctx context.Context, db *store.DB, l logFlags, r rows) error {
	return a.eachExported(ctx, db, l, func(d intake.DecisionRow, _ []intake.OutcomeRow) error {
		return r.row(d, d.DecisionID, d.Time, d.Experiment, d.Surface, d.Shopper, d.Session, d.Intersection, d.Moment, d.Meaning, d.Trajectory, d.Catalogue,
			d.Group, d.Share, d.Arm, d.Probability, d.Ranking, string(d.Reason), string(d.Detail), d.Active, d.Ignored, d.Deferred, d.Activated, d.Served, d.PolicyVersion, d.RewardUntil)
	})
}

func (a *app) exportOutcomes(ctx context.Context, db *store.DB, l logFlags, r rows) error {
	return a.eachExported(ctx, db, l, func(_ intake.DecisionRow, outcomes []intake.OutcomeRow) error {
		for _, o := range outcomes {
			adjusts := ""
			if o.Adjusts != nil {
				adjusts = *o.Adjusts
			}
			if err := r.row(o, o.DecisionID, o.Event, o.OutcomeID, o.Value, o.Currency, o.OccurredAt, o.ReceivedAt, string(o.Status), adjusts); err != nil {
				return err
			}
		}
		return nil
	})
}

func exportEvents(ctx context.Context, db *store.DB, l logFlags, r rows) error {
	if l.experiment != "" {
		return errors.New("events are of no experiment")
	}
	from, to, err := l.period()
	if err != nil {
		return err
	}
	return db.EachEvent(ctx, from, to, func(e store.ExportedEvent) error { return r.row(e, e.At, e.Received, e.Name, e.Shopper, e.Raw) })
}
