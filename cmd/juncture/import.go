package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/store"
)

// importBatch is how many events are committed at once.
const importBatch = 1000

// mostRowErrors bounds the row errors that are printed; all are counted.
const mostRowErrors = 20

func (a *app) importCommand() *cobra.Command {
	c := &cobra.Command{Use: "import", Short: "Take in a history and the goods: events, orders, products"}
	c.AddCommand(
		&cobra.Command{Use: "events FILE...", Args: cobra.MinimumNArgs(1), Short: "NDJSON of tracking calls; .gz is inflated",
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.importFiles(cmd.Context(), args, func(r io.Reader, currency string) iter.Seq2[engine.Incoming, error] {
					return func(yield func(engine.Incoming, error) bool) {
						for item, err := range intake.ReadEvents(r, intake.TrackingOptions{Currency: currency}) {
							i := item.Incoming
							if !yield(engine.Incoming{Trusted: true, Past: true, Event: i.Event, UserID: i.UserID, AnonymousID: i.AnonymousID, PreviousID: i.PreviousID, Raw: i.Raw,
								Consent: juncture.ConsentRecord{Personalization: i.Consent.Personalization, Analytics: i.Consent.Analytics}}, err) {
								return
							}
						}
					}
				})
			}},
		&cobra.Command{Use: "orders FILE...", Args: cobra.MinimumNArgs(1), Short: "CSV or NDJSON of orders, one line each or one per row; .gz is inflated",
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.importFiles(cmd.Context(), args, func(r io.Reader, currency string) iter.Seq2[engine.Incoming, error] {
					return func(yield func(engine.Incoming, error) bool) {
						for e, err := range intake.ReadOrders(r, currency) {
							shopper := e.Shopper
							e.Shopper = ""
							if !yield(engine.Incoming{Trusted: true, Past: true, Event: e, UserID: shopper, Raw: []byte("{}")}, err) {
								return
							}
						}
					}
				})
			}},
		&cobra.Command{Use: "products FILE...", Args: cobra.MinimumNArgs(1),
			Short: "Shopify product CSV or JSON, a Google product feed, NDJSON or a table with a header; .gz is inflated",
			RunE:  func(cmd *cobra.Command, args []string) error { return a.importProducts(cmd.Context(), args) }})
	return c
}

// importProducts takes in products, also beside a running server, which knows them within seconds. Of a product that is
// known the new row stands; none is deleted.
func (a *app) importProducts(ctx context.Context, files []string) error {
	return a.withDB(ctx, func(db *store.DB) error {
		c, err := db.Catalog(ctx)
		if err != nil {
			return err
		}
		currency := c.Declaration.Store.Currency
		if currency == "" {
			return errors.New("declare the store first, with its currency: juncture apply -f store.yaml")
		}
		for _, file := range files {
			taken, changed, refused := 0, 0, 0
			var batch []juncture.Product
			flush := func() error {
				n, err := db.PutProducts(ctx, batch, a.now())
				taken, changed, batch = taken+len(batch), changed+n, batch[:0]
				return err
			}
			err := a.eachRow(file, func(r io.Reader) error {
				for p, err := range intake.ReadProducts(r, currency) {
					if row, ok := errors.AsType[*intake.RowError](err); ok {
						if refused++; refused <= mostRowErrors {
							fmt.Fprintf(a.err, "%s:%d: %s\n", file, row.Line, row.Message)
						}
						continue
					}
					if err != nil {
						return err
					}
					if batch = append(batch, p); len(batch) == importBatch {
						if err := flush(); err != nil {
							return err
						}
					}
				}
				return flush()
			})
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			fmt.Fprintf(a.out, "%s: %d products taken, %d of them new or different, %d rows refused\n", file, taken, changed, refused)
		}
		return nil
	})
}

// eachRow has f read a file, inflated where its name says so, with a progress bar on a terminal.
func (a *app) eachRow(file string, f func(io.Reader) error) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	var r io.Reader = in
	if term.IsTerminal(int(os.Stderr.Fd())) {
		if info, err := in.Stat(); err == nil {
			bar := progressbar.DefaultBytes(info.Size(), file)
			defer bar.Close()
			r = io.TeeReader(in, bar)
		}
	}
	if strings.HasSuffix(file, ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			return err
		}
	}
	return f(r)
}

// importFiles reads each file in a stream. A row that cannot be taken is told and does not stop the others; a message
// that is in the log already changes nothing, so a file may be imported again. It writes as this node does: stop the
// server first, or give --node another number.
func (a *app) importFiles(ctx context.Context, files []string, read func(r io.Reader, currency string) iter.Seq2[engine.Incoming, error]) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	n, err := a.startNode(ctx, store.Options{}, log, a.now)
	if err != nil {
		return err
	}
	currency := n.engine.Pool().Declaration.Store.Currency
	for _, file := range files {
		if err = a.importFile(ctx, n, file, func(r io.Reader) iter.Seq2[engine.Incoming, error] { return read(r, currency) }); err != nil {
			err = fmt.Errorf("%s: %w", file, err)
			break
		}
	}
	return errors.Join(err, n.close())
}

func (a *app) importFile(ctx context.Context, n *node, file string, read func(io.Reader) iter.Seq2[engine.Incoming, error]) error {
	var batch []engine.Incoming
	var total engine.Taken
	refused := 0
	flush := func() error {
		taken, err := n.engine.Ingest(ctx, a.now(), batch, nil)
		total.Accepted += taken.Accepted
		total.Duplicates += taken.Duplicates
		total.Denied += taken.Denied
		batch = batch[:0]
		return err
	}
	err := a.eachRow(file, func(r io.Reader) error {
		for i, err := range read(r) {
			if row, ok := errors.AsType[*intake.RowError](err); ok {
				if refused++; refused <= mostRowErrors {
					fmt.Fprintf(a.err, "%s:%d: %s\n", file, row.Line, row.Message)
				}
				continue
			}
			if err != nil {
				return err
			}
			if batch = append(batch, i); len(batch) == importBatch {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return flush()
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s: %d events taken, %d were known, %d of shoppers who denied it, %d rows refused\n", file, total.Accepted, total.Duplicates, total.Denied, refused)
	return nil
}
