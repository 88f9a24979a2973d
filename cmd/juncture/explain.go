package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/pool"
	"github.com/juncture/juncture/store"
)

// explained is what explain prints as JSON.
type explained struct {
	*juncture.ExplainedDecision
	Replay *juncture.ReplayView `json:"replay,omitempty"`
}

func (a *app) explainCommand() *cobra.Command {
	var replay bool
	var at, format string
	c := &cobra.Command{Use: "explain DECISION | explain --at TIME SHOPPER", Args: cobra.ExactArgs(1),
		Short: "Why a decision is what it is; with --replay, made again from the log",
		Long: `Explain says what a decision was made of: layers, candidates with their exact probabilities, what was filtered out and
why. DECISION is an id as /choose gave it, or a serial; with --at it is a shopper, and the decision is the latest made for
them by then.

With --replay it is made again from the log, and every number is held against what was logged, to the last digit: the
shopper's group by its hash, the probabilities by adding up the ledger and fitting it, the arm by the keyed hash of the
serial. It exits with 1 where they differ.`,
		Example: `  juncture explain 9008932943829021 --replay
  juncture explain ada --at 2026-11-27T12:00:00Z`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %.20q is neither text nor json", format)
			}
			return a.withExisting(cmd.Context(), func(db *store.DB) error { return a.explain(cmd.Context(), db, args[0], at, format, replay) })
		}}
	c.Flags().BoolVar(&replay, "replay", false, "make it again from the log")
	c.Flags().StringVar(&at, "at", "", "a time: the argument is a shopper, and the decision their latest by then")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// decisionLog reads a database's log without an engine.
func (a *app) decisionLog(db *store.DB, learned *engine.Learned) *engine.Log {
	return engine.NewLog(db, func(ctx context.Context) (engine.Secrets, error) {
		s, err := db.Secrets(ctx, a.random(), a.now())
		if err != nil {
			return engine.Secrets{}, err
		}
		ring, err := juncture.NewKeyring(s.Signing)
		return engine.Secrets{PickSalt: s.PickSalt, GroupSalt: s.GroupSalt, Keyring: ring}, err
	}, func(ctx context.Context) (*pool.Snapshot, error) {
		catalog, err := db.Catalog(ctx)
		if err != nil {
			return nil, err
		}
		return pool.Build(catalog)
	}, learned.Knowledge)
}

func (a *app) explain(ctx context.Context, db *store.DB, id, at, format string, replay bool) error {
	learned, err := engine.NewLearned(ctx, db, engine.LearnedLimits{Products: a.Products})
	if err != nil {
		return err
	}
	log, serial := a.decisionLog(db, learned), uint64(0)
	if at == "" {
		serial, err = log.Find(ctx, id)
	} else {
		serial, err = latestFor(ctx, log, id, at)
	}
	if err != nil {
		return err
	}
	var x explained
	if x.ExplainedDecision, err = log.Explain(ctx, serial); err != nil {
		return err
	}
	if replay {
		if x.Replay, err = log.Replay(ctx, serial); err != nil {
			return err
		}
	}
	if format == "json" {
		w := json.NewEncoder(a.out)
		w.SetIndent("", "  ")
		err = w.Encode(x)
	} else {
		printExplained(a.out, x, learned.Names())
	}
	if err == nil && replay && x.Replay.Verdict == juncture.VerdictDiffers {
		err = fmt.Errorf("decision %s is not what the log gives", x.Serial)
	}
	return err
}

// latestFor is the shopper's latest decision by a time.
func latestFor(ctx context.Context, log *engine.Log, shopper, at string) (uint64, error) {
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return 0, fmt.Errorf("--at %.40q is no time such as 2026-11-27T12:00:00Z", at)
	}
	page, err := log.Decisions(ctx, juncture.DecisionQuery{Shopper: shopper, To: t.Add(time.Millisecond), Limit: 1})
	if err != nil {
		return 0, err
	}
	if len(page.Items) == 0 {
		return 0, juncture.Errorf(juncture.CodeDecisionNotFound, "no decision was made for %.80q by %s", shopper, at)
	}
	return page.Items[0].Claims.Serial, nil
}

func printExplained(out io.Writer, x explained, names experiments.Names) {
	told := console.Tell(x.ExplainedDecision, names)
	fmt.Fprintf(out, "%s: %s\n%s\n", told.Heading, told.Sentence, oneLine(told.Phrase))
	fmt.Fprintf(out, "decision %s, %s, at %s for %s\n", x.Serial, x.At.Format(time.RFC3339Nano), x.Surface, cmp.Or(x.ShopperID, "(nobody: consent was denied)"))
	fmt.Fprintf(out, "shown: %s with probability %v", x.Arm, x.Probability)
	if x.Shadow != "" {
		fmt.Fprintf(out, "; drawn in shadow: %s", x.Shadow)
	}
	fmt.Fprintf(out, "\nexperiment %s, group %s, reason %s %s, policy %s version %s\n", cmp.Or(x.Experiment, "-"), cmp.Or(x.Group.String(), "-"), x.Reason, x.Detail, cmp.Or(x.Policy, "-"), cmp.Or(x.PolicyVersion, "-"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nLAYER\tVALUE\tNAME\tREASON")
	for _, l := range x.Layers {
		note := ""
		if !l.Same {
			note = " (under today's settings another value)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s%s\n", l.Layer, l.Value, oneLine(names.Value(l.Layer, l.Value)), l.Reason, note)
	}
	fmt.Fprintln(w, "\nCANDIDATE\tPROBABILITY\tRECOMPUTED\tOWN\tBORROWED\tHEADLINE\tWHY")
	for i, c := range x.Candidates {
		recomputed, own, borrowed, why := "", "", "", ""
		if x.Replay != nil && x.Replay.Arms[i].Recomputed != nil {
			r := x.Replay.Arms[i]
			recomputed, own, borrowed = strconv.FormatFloat(*r.Recomputed, 'g', -1, 64), strconv.FormatFloat(r.Own, 'g', -1, 64), strconv.FormatFloat(r.Borrowed, 'f', 1, 64)
			why = names.Why(r.Sentence, r.Effects)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Arm, strconv.FormatFloat(c.Probability, 'g', -1, 64), recomputed, own, borrowed, oneLine(c.Headline), why)
	}
	if len(x.Filtered) > 0 {
		fmt.Fprintln(w, "\nFILTERED OUT\tWHY\tRULE")
		for _, f := range x.Filtered {
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.Arm, f.Why, f.Rule)
		}
	}
	if x.Replay != nil {
		fmt.Fprintln(w, "\nREPLAY\t\t")
		for _, p := range x.Replay.Parts {
			fmt.Fprintf(w, "%s\t%s\t%s\n", p.Part, p.Verdict, p.Why)
		}
	}
	_ = w.Flush() // what was printed so far is all that can be done
	if x.Replay != nil {
		fmt.Fprintf(out, "\n%s: %s\n", x.Replay.Verdict, x.Replay.Sentence)
	}
}

// oneLine is a text of the merchant's as a terminal may show it.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)), " ")
}
