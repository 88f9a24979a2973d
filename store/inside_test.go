package store

import (
	"bytes"
	"context"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
)

func TestEveryConnectionThatWritesSyncsFully(t *testing.T) {
	db, err := Open(context.Background(), filepath.Join(t.TempDir(), "juncture.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, c := range map[string]struct {
		pool *sqlx.DB
		want map[string]string
	}{
		"ledger": {db.ledger, map[string]string{"synchronous": "2", "journal_mode": "wal", "query_only": "0", "secure_delete": "1", "journal_size_limit": "67108864"}}, // 2 is FULL
		"write":  {db.write, map[string]string{"synchronous": "2", "journal_mode": "wal", "query_only": "0", "secure_delete": "1"}},
		"read":   {db.read, map[string]string{"journal_mode": "wal", "query_only": "1"}},
	} {
		for pragma, want := range c.want {
			var got string
			if err := c.pool.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %s, %v; want %s", name, pragma, got, err, want)
			}
		}
	}
	if _, err := db.read.Exec(`DELETE FROM memos`); err == nil {
		t.Error("a reader wrote")
	}
}

func tallies() *rapid.Generator[juncture.Tally] {
	return rapid.Custom(func(t *rapid.T) juncture.Tally {
		n := rapid.Int64()
		return juncture.Tally{Trials: n.Draw(t, "trials"), Outcomes: n.Draw(t, "outcomes"), Successes: n.Draw(t, "successes"), Value: n.Draw(t, "value"),
			LogValue: n.Draw(t, "log"), LogValueSq: n.Draw(t, "square")}
	})
}

func TestBlobsRoundTrip(t *testing.T) {
	text := rapid.StringMatching(`[a-z0-9_-]{0,64}`)
	rapid.Check(t, func(t *rapid.T) {
		deltas := rapid.SliceOf(rapid.Custom(func(t *rapid.T) juncture.Delta {
			return juncture.Delta{TallyKey: juncture.TallyKey{Experiment: text.Draw(t, "experiment"), Intersection: juncture.Intersection{"a", "_", rapid.StringMatching(`[a-z0-9._-]{1,64}`).Draw(t, "value"), "d"},
				Arm: juncture.ArmID(rapid.Uint32().Draw(t, "arm")), Group: juncture.Group(rapid.Byte().Draw(t, "group")), Event: text.Draw(t, "event")}, Tally: tallies().Draw(t, "tally")}
		})).Draw(t, "deltas")
		if got, err := decodeDeltas(encodeDeltas(deltas)); err != nil || len(got) != len(deltas) || len(got) > 0 && !reflect.DeepEqual(got, deltas) {
			t.Fatalf("%+v came back as %+v, %v", deltas, got, err)
		}
		credits := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) juncture.Credit {
			return juncture.Credit{Serial: rapid.Uint64().Draw(t, "serial"), Share: rapid.Float64Range(0, 1).Draw(t, "share")}
		}), 1, 20).Draw(t, "credits")
		if got, err := decodeCredits(encodeCredits(credits)); err != nil || !reflect.DeepEqual(got, credits) {
			t.Fatalf("%+v came back as %+v, %v", credits, got, err)
		}
		rows := rapid.SliceOf(rapid.Custom(func(t *rapid.T) juncture.CellRow {
			return juncture.CellRow{Arm: juncture.ArmID(rapid.Uint32().Draw(t, "arm")), Group: juncture.Group(rapid.Byte().Draw(t, "group")), Event: text.Draw(t, "event"), Tally: tallies().Draw(t, "tally")}
		})).Draw(t, "rows")
		marks := rapid.SliceOf(rapid.Custom(func(t *rapid.T) juncture.Mark {
			return juncture.Mark{Node: rapid.Uint16().Draw(t, "node"), Seq: rapid.Int64().Draw(t, "seq")}
		})).Draw(t, "marks")
		gotRows, gotMarks, err := decodeCell(encodeCell(rows, marks))
		if err != nil || len(gotRows) != len(rows) || len(gotMarks) != len(marks) || len(rows) > 0 && !reflect.DeepEqual(gotRows, rows) || len(marks) > 0 && !reflect.DeepEqual(gotMarks, marks) {
			t.Fatalf("a cell came back otherwise: %v", err)
		}
		ranking := rapid.SliceOf(rapid.Custom(func(t *rapid.T) juncture.Ranked {
			return juncture.Ranked{Arm: juncture.ArmID(rapid.Uint32().Draw(t, "arm")), Probability: rapid.Float64().Draw(t, "p")}
		})).Draw(t, "ranking")
		var theirs []float64
		if rapid.Bool().Draw(t, "random") {
			theirs = rapid.SliceOfN(rapid.Float64(), len(ranking), len(ranking)).Draw(t, "policy")
		}
		got, policy, err := decodeRanking(encodeRanking(ranking, theirs))
		if err != nil || len(got) != len(ranking) || len(got) > 0 && !reflect.DeepEqual(got, ranking) || !reflect.DeepEqual(policy, theirs) {
			t.Fatalf("a ranking came back otherwise: %v", err)
		}
	})
}

// FuzzDecode: damaged blobs are errors, never panics or floods of memory.
func FuzzDecode(f *testing.F) {
	f.Add(encodeDeltas([]juncture.Delta{{TallyKey: juncture.TallyKey{Experiment: "x", Intersection: juncture.Intersection{"a", "b", "c", "d"}, Arm: 1}, Tally: juncture.Tally{Trials: 1}}}))
	f.Add(encodeCell([]juncture.CellRow{{Arm: 1, Tally: juncture.Tally{Trials: -1}}}, []juncture.Mark{{Node: 1, Seq: 2}}))
	f.Add(encodeRanking([]juncture.Ranked{{Arm: 1, Probability: 0.5}}, nil))
	f.Add(encodeRanking([]juncture.Ranked{{Arm: 1, Probability: 0.5}}, []float64{1}))
	f.Add(encodeCredits([]juncture.Credit{{Serial: 7, Share: 0.5}}))
	f.Add([]byte{})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if deltas, err := decodeDeltas(b); err == nil {
			if again, err := decodeDeltas(encodeDeltas(deltas)); err != nil || !reflect.DeepEqual(again, deltas) {
				t.Fatalf("%x: %v", b, err)
			}
		}
		if rows, marks, err := decodeCell(b); err == nil {
			if r, m, err := decodeCell(encodeCell(rows, marks)); err != nil || !reflect.DeepEqual(r, rows) || !reflect.DeepEqual(m, marks) {
				t.Fatalf("%x: %v", b, err)
			}
		}
		if credits, err := decodeCredits(b); err == nil && len(credits) > 0 {
			if !bytes.Equal(encodeCredits(credits)[:1], b[:1]) {
				t.Fatalf("%x", b)
			}
		}
		if ranking, policy, err := decodeRanking(b); err == nil {
			if !bytes.Equal(encodeRanking(ranking, policy)[:1], b[:1]) {
				t.Fatalf("%x", b)
			}
		}
	})
}

func TestTheLastModelsKeepTheirBodies(t *testing.T) {
	ctx := context.Background()
	db, err := Open(ctx, filepath.Join(t.TempDir(), "juncture.db"), Options{Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for v := range int64(keptModels + 3) {
		if _, err := db.SaveModel(ctx, juncture.TasteModel{Body: []byte("body")}, v); err != nil {
			t.Fatal(err)
		}
	}
	var kept, first int64
	if err := db.read.QueryRow(`SELECT count(*), min(version) FROM taste_models WHERE length(body) > 0`).Scan(&kept, &first); err != nil || kept != keptModels || first != 4 {
		t.Errorf("%d bodies are kept from version %d, %v", kept, first, err)
	}
}
