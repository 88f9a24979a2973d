package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/store"
)

// mostExported bounds each list of a shopper's export.
const mostExported = 10_000

// exports gathers what is kept of a shopper.
type exports struct{ db *store.DB }

func (e exports) Export(ctx context.Context, id string) (any, error) {
	x, err := e.db.ExportShopper(ctx, id, mostExported)
	if err == nil && x.Empty() {
		err = juncture.Errorf(juncture.CodeNotFound, "nothing is known of %.80q", id)
	}
	return x, err
}

func (a *app) exportShopperCommand() *cobra.Command {
	return &cobra.Command{Use: "shopper ID", Args: cobra.ExactArgs(1), Short: "Everything that is kept of a shopper, as JSON",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withExisting(cmd.Context(), func(db *store.DB) error {
				x, err := exports{db}.Export(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				w := json.NewEncoder(a.out)
				w.SetIndent("", "  ")
				return w.Encode(x)
			})
		}}
}

func (a *app) eraseCommand() *cobra.Command {
	return &cobra.Command{Use: "erase ID", Args: cobra.ExactArgs(1), Short: "Delete what is known of a shopper; stop the server first, or send it DELETE /api/v1/profiles/ID",
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := a.logger()
			if err != nil {
				return err
			}
			n, err := a.startNode(cmd.Context(), store.Options{}, log, a.now)
			if err != nil {
				return err
			}
			x, err := n.engine.Erase(cmd.Context(), a.now(), engine.Who{Actor: actor(), From: "cli"}, args[0])
			if err == nil {
				fmt.Fprintf(a.out, "erased: %d ids, %d events; %d decisions stand under a random id\n", len(x.IDs), x.Events, x.Decisions)
			}
			return errors.Join(err, n.close())
		}}
}

func (a *app) refitCommand() *cobra.Command {
	return &cobra.Command{Use: "refit", Args: cobra.NoArgs, Short: "Learn the taste clusters again, also beside a running server, which takes them up within seconds",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withExisting(cmd.Context(), func(db *store.DB) error { return a.refit(cmd.Context(), db) })
		}}
}

func (a *app) refit(ctx context.Context, db *store.DB) error {
	learned, err := engine.NewLearned(ctx, db, engine.LearnedLimits{Products: a.Products})
	if err != nil {
		return err
	}
	c, err := db.Catalog(ctx)
	if err != nil {
		return err
	}
	d := c.Declaration
	r, err := learned.Refit(ctx, a.now(), actor(), d.Layers[juncture.Meaning.String()].Clusters, layers.SettingsOf(d.Layers, d.Store.Currency))
	if errors.Is(err, engine.ErrTooFewTastes) {
		return fmt.Errorf("%w: %d have one; import products and events first (a running server writes profiles every few seconds)", err, r.Shoppers)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%d taste clusters from %d shoppers (version %d): %d ids kept, %d new, %d retired; %d of %d shoppers moved\n",
		r.Clusters, r.Shoppers, r.Version, len(r.Matching.Kept), len(r.Matching.New), len(r.Matching.Retired), r.Moved, r.Of)
	m, _ := learned.Model()
	for _, c := range m.Clusters {
		fmt.Fprintf(a.out, "%7d  %s (%s)\n", c.Size, c.Name, c.ID)
	}
	return db.Note(ctx, a.note("refit", "taste clusters", fmt.Appendf(nil, `{"version":%d,"clusters":%d,"moved":%d,"of":%d}`, r.Version, r.Clusters, r.Moved, r.Of)))
}
