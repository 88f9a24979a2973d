package evaluate_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/juncture/juncture/evaluate"
)

// The fashion log through the columns, against the golden numbers: the production policy from the log of chance, and chance
// from the production log, which is refused at 2 effective rows.
func TestTheFashionLogByItsColumns(t *testing.T) {
	shared := func(name string) *os.File {
		f, err := os.Open(filepath.Join("..", "..", "shared", "data", filepath.FromSlash(name)))
		if err != nil {
			t.Skip("../../shared/data is not here: ", err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	var golden struct {
		Random struct {
			IPS       float64
			SNIPS     float64
			Effective float64 `json:"effective_sample_size"`
		} `json:"production_ts_from_random"`
		BTS struct {
			Effective float64 `json:"effective_sample_size"`
		} `json:"uniform_from_bts"`
	}
	if err := json.NewDecoder(shared("golden/open_bandit.json")).Decode(&golden); err != nil {
		t.Fatal(err)
	}
	columns := evaluate.TableColumns{Reward: "click", Propensity: "propensity_score", Arm: "item_id", Target: "p_position_{position}", On: []string{"item_id"}}
	got, err := evaluate.ReadTable(shared("obd/random_women.csv.gz"), shared("obd/production_action_dist_women.csv"), columns)
	if err != nil {
		t.Fatal(err)
	}
	e, want := got.Estimate, golden.Random
	if math.Abs(e.IPS.Value-want.IPS) > 1e-9 || math.Abs(e.SNIPS.Value-want.SNIPS) > 1e-9 || math.Abs(e.Effective-want.Effective) > 1e-6 || !got.Modelled || got.Arms != 46 {
		t.Errorf("%+v, want %+v", e, want)
	}
	columns.Target = evaluate.TargetUniform
	got, err = evaluate.ReadTable(shared("obd/bts_women.csv.gz"), nil, columns)
	if err != nil || got.Estimate.Refused == "" || math.Abs(got.Estimate.Effective-golden.BTS.Effective) > 1e-6 {
		t.Errorf("%+v, %v; want effective %g and a refusal", got.Estimate, err, golden.BTS.Effective)
	}
}

func TestTables(t *testing.T) {
	log := "who,arm,place,won,p,q\n" + strings.Repeat("a,x,1,1,0.5,1\nb,y,1,0,0.5,0\nc,x,2,0,0.5,1\nd,y,2,1,0.5,0\n", 50)
	columns := evaluate.TableColumns{Reward: "won", Propensity: "p", Target: "q"}
	// The target shows x alone, which won 50 of 100: weights 2 and 0, effective 100 of 200 rows.
	got, err := evaluate.ReadTable(strings.NewReader(log), nil, columns)
	if err != nil || got.Estimate.IPS.Value != 0.5 || got.Estimate.Effective != 100 || got.Log.Value != 0.5 || got.Modelled {
		t.Errorf("%+v, %v", got, err)
	}
	// x at place 1 and y at place 2 always won: what the file of targets says.
	columns.Arm, columns.Target, columns.On = "arm", "at{place}", []string{"arm"}
	got, err = evaluate.ReadTable(strings.NewReader(log), strings.NewReader("arm,at1,at2\nx,1,0\ny,0,1\n"), columns)
	if err != nil || got.Estimate.IPS.Value != 1 || !got.Modelled {
		t.Errorf("%+v, %v", got, err)
	}
	columns.Shopper = "who" // four shoppers of 50 rows each: no more clusters than that
	four, err := evaluate.ReadTable(strings.NewReader(log), strings.NewReader("arm,at1,at2\nx,1,0\ny,0,1\n"), columns)
	if err != nil || four.Estimate.IPS.SE < 5*got.Estimate.IPS.SE {
		t.Errorf("four shoppers: %g, rows by themselves: %g, %v", four.Estimate.IPS.SE, got.Estimate.IPS.SE, err)
	}
	for name, c := range map[string]struct {
		log, targets string
		columns      evaluate.TableColumns
		want         string
	}{
		"no rows":           {"won,p,q\n", "", evaluate.TableColumns{Reward: "won", Propensity: "p", Target: "q"}, "has no rows"},
		"no such column":    {log, "", evaluate.TableColumns{Reward: "clicks", Propensity: "p", Target: "q"}, `no column "clicks"`},
		"no target":         {log, "", evaluate.TableColumns{Reward: "won", Propensity: "p"}, "--target"},
		"uniform over what": {log, "", evaluate.TableColumns{Reward: "won", Propensity: "p", Target: "uniform"}, "needs --arm"},
		"propensity 0":      {"won,p,q\n1,0,1\n", "", evaluate.TableColumns{Reward: "won", Propensity: "p", Target: "q"}, "row 1: propensity 0"},
		"a text":            {"won,p,q\nyes,1,1\n", "", evaluate.TableColumns{Reward: "won", Propensity: "p", Target: "q"}, `row 1: reward "yes"`},
		"not a number":      {"won,p,q\n1,1,NaN\n", "", evaluate.TableColumns{Reward: "won", Propensity: "p", Target: "q"}, `target "NaN"`},
		"found by nothing":  {log, "arm,q\nx,1\n", evaluate.TableColumns{Reward: "won", Propensity: "p", Target: "q"}, "needs --on"},
		"found twice":       {log, "arm,q\nx,1\nx,1\n", evaluate.TableColumns{Reward: "won", Propensity: "p", Target: "q", On: []string{"arm"}}, "two rows for x"},
		"an open brace":     {log, "arm,q\nx,1\n", evaluate.TableColumns{Reward: "won", Propensity: "p", Target: "q{arm", On: []string{"arm"}}, "not closed"},
	} {
		var targets *strings.Reader
		var err error
		if c.targets != "" {
			targets = strings.NewReader(c.targets)
			_, err = evaluate.ReadTable(strings.NewReader(c.log), targets, c.columns)
		} else {
			_, err = evaluate.ReadTable(strings.NewReader(c.log), nil, c.columns)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
