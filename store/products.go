package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// PutProducts adds products, or replaces those with their ids, in one transaction. It returns how many were new or
// different: only these get a new number in the order of ProductsSince. Nothing is deleted: withdraw by Hidden.
func (db *DB) PutProducts(ctx context.Context, products []juncture.Product, now time.Time) (changed int, err error) {
	err = db.inTx(ctx, func(tx *sqlx.Tx) error {
		var seq int64
		if err := tx.GetContext(ctx, &seq, `SELECT coalesce(max(seq), 0) FROM products`); err != nil {
			return err
		}
		put, err := tx.PrepareContext(ctx, `INSERT INTO products (id, seq, at, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
			SET seq = excluded.seq, at = excluded.at, body = excluded.body WHERE products.body <> excluded.body`)
		if err != nil {
			return err
		}
		defer put.Close()
		for _, p := range products {
			if p.ID == "" {
				return juncture.Errorf(juncture.CodeInvalidRequest, "a product without an id").WithField("id")
			}
			body, err := productBody(p)
			if err != nil {
				return err
			}
			res, err := put.ExecContext(ctx, p.ID, seq+1, ms(now), body)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			seq += n
			changed += int(n)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("put products: %w", err)
	}
	return changed, nil
}

// productBody is one text for all that is the same product.
func productBody(p juncture.Product) (string, error) {
	p.Created = fromMS(ms(p.Created))
	if len(p.Tags) == 0 {
		p.Tags = nil
	}
	if len(p.Attrs) == 0 {
		p.Attrs = nil
	}
	b, err := json.Marshal(p)
	return string(b), err
}

// ProductsSince calls f for every product that changed after a number, in the order of their changes, and returns the
// number to go on from. 0 begins with all.
func (db *DB) ProductsSince(ctx context.Context, after int64, f func(juncture.Product) error) (last int64, err error) {
	last = after
	rows, err := db.read.QueryContext(ctx, `SELECT seq, body FROM products WHERE seq > ? ORDER BY seq`, after)
	if err != nil {
		return last, err
	}
	defer rows.Close()
	for rows.Next() {
		seq, p, err := scanProduct(rows)
		if err != nil {
			return last, err
		}
		if err := f(p); err != nil {
			return last, err
		}
		last = seq
	}
	return last, rows.Err()
}

func scanProduct(rows *sql.Rows) (seq int64, p juncture.Product, err error) {
	var body string
	if err := rows.Scan(&seq, &body); err != nil {
		return seq, p, err
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		return seq, p, fmt.Errorf("stored product %d: %w", seq, err)
	}
	return seq, p, nil
}

// productChunk bounds the arguments of one statement.
const productChunk = 500

// Products returns the products with these ids, hidden ones too, in the order asked. Unknown ids are left out.
func (db *DB) Products(ctx context.Context, ids []string) ([]juncture.Product, error) {
	found := make(map[string]juncture.Product, len(ids))
	for some := range slices.Chunk(ids, productChunk) {
		query, args, err := sqlx.In(`SELECT seq, body FROM products WHERE id IN (?)`, some)
		if err != nil {
			return nil, err
		}
		if err := db.eachProduct(ctx, query, args, func(p juncture.Product) { found[p.ID] = p }); err != nil {
			return nil, err
		}
	}
	var out []juncture.Product
	for _, id := range ids {
		if p, ok := found[id]; ok {
			out = append(out, p)
		}
	}
	return out, nil
}

func (db *DB) eachProduct(ctx context.Context, query string, args []any, f func(juncture.Product)) error {
	rows, err := db.read.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		_, p, err := scanProduct(rows)
		if err != nil {
			return err
		}
		f(p)
	}
	return rows.Err()
}

// CountProducts returns how many products there are, hidden ones too.
func (db *DB) CountProducts(ctx context.Context) (int, error) {
	var n int
	err := db.read.GetContext(ctx, &n, `SELECT count(*) FROM products`)
	return n, err
}
