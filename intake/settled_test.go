package intake

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
)

func settledFiles(t *testing.T, log []juncture.Settled, arms map[juncture.ArmID]juncture.Arm) (decisions, outcomes string) {
	t.Helper()
	var d, o bytes.Buffer
	for i := range log {
		row, rows := ExportRows(&log[i], "d"+log[i].Shopper, arms)
		if err := json.NewEncoder(&d).Encode(row); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if err := json.NewEncoder(&o).Encode(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	return d.String(), o.String()
}

func types() []juncture.OutcomeType {
	return []juncture.OutcomeType{{Name: "click", Type: juncture.OutcomeBinary}, {Name: "purchase", Type: juncture.OutcomeMoney}}
}

// A log comes back as it was written, but for its serials and the numbers of its arms, which count from 1.
func TestAnExportIsReadAsItWasWritten(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 123e6, time.UTC)
	arms := map[juncture.ArmID]juncture.Arm{1: {Action: "welcome", ActionVersion: 1, Copy: "plain", CopyVersion: 2}, 2: {Action: "deal", ActionVersion: 3, Copy: "plain", CopyVersion: 1}}
	claims := func(n uint64, f ...func(*juncture.Claims)) juncture.Claims {
		c := juncture.Claims{Serial: n, At: at, Until: at.Add(time.Hour), Experiment: "hero", Intersection: juncture.Intersection{"new.cart", "_", "_", "bags"}, Group: juncture.GroupPolicy, Arm: 1, Probability: 0.25}
		for _, f := range f {
			f(&c)
		}
		return c
	}
	ranking := []juncture.Ranked{{Arm: 1, Probability: 0.25}, {Arm: 2, Probability: 0.75}}
	log := []juncture.Settled{
		{Decision: juncture.Decision{Claims: claims(1), Surface: "home", Shopper: "a", Session: "s", Reason: juncture.ReasonSplit, Share: 0.9, Version: "v", Ranking: ranking},
			Outcomes: []juncture.Outcome{{Serial: 1, Event: "click", Value: 1, Minor: 1, At: at, Received: at.Add(time.Minute), Status: juncture.StatusRecorded},
				{Serial: 1, Event: "purchase", ID: "o", Value: 12.5, Minor: 1250, Currency: "GBP", At: at, Received: at, Status: juncture.StatusRecorded},
				{Serial: 1, Event: "purchase", ID: "r", Adjust: true, Adjusts: "o", Value: -12.5, Minor: -1250, Currency: "GBP", At: at, Received: at, Status: juncture.StatusRecorded}}},
		{Decision: juncture.Decision{Claims: claims(2, func(c *juncture.Claims) { c.Group = juncture.GroupHoldout; c.Arm = 0; c.Probability = 1 }), Shopper: "b", Detail: juncture.DetailHoldout}},
		{Decision: juncture.Decision{Claims: claims(3, func(c *juncture.Claims) { c.Deferred = true; c.Group = juncture.GroupRandom }), Shopper: "c", Ranking: ranking, Policy: []float64{0, 1}},
			Activation: &juncture.Activation{Serial: 3, At: at.Add(time.Minute), Served: true, Arm: 2}},
		{Decision: juncture.Decision{Claims: claims(4, func(c *juncture.Claims) { c.Ignored = true }), Shopper: "", Ranking: ranking}},
	}
	decisions, outcomes := settledFiles(t, log, arms)
	read := SettledLog{Decisions: strings.NewReader(decisions), Outcomes: strings.NewReader(outcomes), Types: types(), Currency: "GBP"}
	var got []juncture.Settled
	for s, err := range read.All() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	if diff := cmp.Diff(log, got); diff != "" {
		t.Errorf("it came back otherwise:\n%s", diff)
	}
	for id, want := range arms {
		if arm, ok := read.Arm(id); !ok || arm != want {
			t.Errorf("arm %d is %v", id, arm)
		}
	}
}

func TestBrokenExports(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	arms := map[juncture.ArmID]juncture.Arm{1: {Action: "a", ActionVersion: 1, Copy: "c", CopyVersion: 1}}
	d := func(shopper string) juncture.Settled {
		return juncture.Settled{Decision: juncture.Decision{Shopper: shopper, Claims: juncture.Claims{At: at, Until: at, Arm: 1, Probability: 1, Intersection: juncture.Intersection{"_", "_", "_", "_"}},
			Ranking: []juncture.Ranked{{Arm: 1, Probability: 1}}}, Outcomes: []juncture.Outcome{{Event: "click", Value: 1, Status: juncture.StatusRecorded}}}
	}
	decisions, outcomes := settledFiles(t, []juncture.Settled{d("1"), d("2")}, arms)
	first, second, _ := strings.Cut(outcomes, "\n")
	for name, c := range map[string]struct{ decisions, outcomes, want string }{
		"no json":             {"time,arm\n", "", "line 1 of the decisions"},
		"another field":       {strings.Replace(decisions, `"time"`, `"when"`, 1), "", "line 1 of the decisions"},
		"outcomes in the way": {decisions, second + first + "\n", "not among the decisions, or not in their order"},
		"of nobody":           {decisions, strings.ReplaceAll(outcomes, `"d2"`, `"d3"`), "\"d3\", which is not among"},
		"no arm":              {strings.Replace(decisions, `"arm":"a@1/c@1","probability":1,"ranking"`, `"arm":"a/c","probability":1,"ranking"`, 1), "", "decision 1"},
		"probability":         {strings.Replace(decisions, `"probability":1}]`, `"probability":1.5}]`, 1), "", "at 1.5"},
		"half a policy":       {strings.Replace(decisions, `"probability":1}]`, `"probability":0.5,"policy":1},{"arm":"a@1/c@1","probability":0.5}]`, 1), "", "of 2 arms 1 say"},
		"two in a line":       {strings.Replace(decisions, "\n", "", 1), "", "more than one object"},
	} {
		var err error
		for _, err = range (&SettledLog{Decisions: strings.NewReader(c.decisions), Outcomes: strings.NewReader(c.outcomes), Types: types()}).All() {
		}
		if juncture.ErrorCode(err) != juncture.CodeInvalidRequest || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzSettledLog: whatever is read has probabilities and arms that can be used.
func FuzzSettledLog(f *testing.F) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	row, rows := ExportRows(&juncture.Settled{Decision: juncture.Decision{Claims: juncture.Claims{At: at, Until: at, Arm: 1, Probability: 1}, Ranking: []juncture.Ranked{{Arm: 1, Probability: 1}}, Policy: []float64{1}},
		Outcomes: []juncture.Outcome{{Event: "click", Value: 1}}}, "d", map[juncture.ArmID]juncture.Arm{1: {Action: "a", ActionVersion: 1, Copy: "c", CopyVersion: 1}})
	d, _ := json.Marshal(row)
	o, _ := json.Marshal(rows[0])
	f.Add(d, o)
	f.Add([]byte("{}"), []byte("{}"))
	f.Fuzz(func(t *testing.T, decisions, outcomes []byte) {
		log := SettledLog{Decisions: bytes.NewReader(decisions), Outcomes: bytes.NewReader(outcomes), Types: types(), Currency: "GBP"}
		for s, err := range log.All() {
			if err != nil {
				return
			}
			for _, r := range s.Ranking {
				if _, ok := log.Arm(r.Arm); !ok || !(r.Probability >= 0 && r.Probability <= 1.1) {
					t.Fatalf("%+v", s)
				}
			}
		}
	})
}
