package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/store"
)

func (a *app) experimentsCommand() *cobra.Command {
	c := &cobra.Command{Use: "experiments", Short: "Experiments: list, start, pause, resume, stop, ship a winner, rollback, reset the breaker"}
	c.AddCommand(&cobra.Command{Use: "list", Args: cobra.NoArgs, Short: "List the experiments, and what may be done to each",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withExisting(cmd.Context(), func(db *store.DB) error { return a.listExperiments(cmd, db) })
		}})
	for _, v := range []struct {
		verb  juncture.Verb
		short string
	}{
		{juncture.VerbStart, "Start a draft"}, {juncture.VerbPause, "Serve the default for a while"}, {juncture.VerbResume, "Go on with what is paused"},
		{juncture.VerbStop, "Stop for good; the winner can be shipped"}, {juncture.VerbShip, "Stop, and serve everybody the winner"},
		{juncture.VerbRollback, "Serve what was the default before the winner was shipped; the experiment is paused"},
		{juncture.VerbReset, "Let the policy choose again after a guard tripped"},
	} {
		c.AddCommand(a.verbCommand(v.verb, v.short))
	}
	return c
}

func (a *app) verbCommand(verb juncture.Verb, short string) *cobra.Command {
	var r juncture.ExperimentChange
	c := &cobra.Command{Use: string(verb) + " ID --reason TEXT", Args: cobra.ExactArgs(1), Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withExisting(cmd.Context(), func(db *store.DB) error {
				_, lines, err := engine.ChangeExperiment(cmd.Context(), db, a.now(), engine.Who{Actor: actor(), From: "cli"}, args[0], verb, r)
				for _, line := range lines {
					fmt.Fprintln(a.out, line)
				}
				return err
			})
		}}
	f := c.Flags()
	f.StringVar(&r.Reason, "reason", "", "why, for the audit log")
	if verb == juncture.VerbShip {
		f.StringVar(&r.Action, "action", "", "the winner")
		f.StringVar(&r.Copy, "copy", "", "its copy; left out, the first that is written for everybody")
	}
	return c
}

func (a *app) listExperiments(cmd *cobra.Command, db *store.DB) error {
	catalog, err := db.Catalog(cmd.Context())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSURFACE\tSTATE\tCAN\tWHY")
	for _, x := range catalog.Declaration.Experiments {
		v, err := catalog.Declaration.View(x.ID)
		if err != nil {
			return err
		}
		can, why := "", ""
		for i, n := range v.Next {
			if i > 0 {
				can += " "
			}
			can += string(n)
		}
		switch {
		case v.Tripped != nil:
			why = v.Tripped.Why
		case v.Shipped != nil:
			why = "the default is " + v.Shipped.Action
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.ID, v.Surface, v.State, can, why)
	}
	return w.Flush()
}
