package juncture_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	. "github.com/juncture/juncture"
)

var (
	click    = OutcomeType{Name: "click", Type: OutcomeBinary}
	purchase = OutcomeType{Name: "purchase", Type: OutcomeMoney}
	decided  = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
)

// row is an outcome of so many minor units, minutes after the decision.
func row(id string, minor int64, minutes int, status Status) Outcome {
	return Outcome{Event: "purchase", ID: id, Minor: minor, At: decided.Add(time.Duration(minutes) * time.Minute), Status: status}
}

func adjustment(id, of string, minor int64) Outcome {
	o := row(id, minor, 600, StatusRecorded)
	o.Adjust, o.Adjusts = true, of
	return o
}

func TestMinorUnits(t *testing.T) {
	for _, c := range []struct {
		value    float64
		currency string
		want     int64
	}{
		{12.34, "GBP", 1234}, {0.005, "GBP", 1}, {0.0049, "GBP", 0}, {-12.345, "GBP", -1235}, {19.99, "EUR", 1999},
		{12.5, "JPY", 13}, {1.2345, "KWD", 1235}, {1e12, "GBP", 1e14}, {0, "GBP", 0},
	} {
		if got := purchase.Minor(c.value, c.currency); got != c.want {
			t.Errorf("%v %s is %d, want %d", c.value, c.currency, got, c.want)
		}
	}
	if click.Minor(1, "GBP") != 1 || click.Minor(0, "GBP") != 0 {
		t.Error("a binary outcome is 1 or 0")
	}
}

func TestAggregate(t *testing.T) {
	with := func(f func(*OutcomeType)) OutcomeType { o := purchase; f(&o); return o }
	first := with(func(o *OutcomeType) { o.Count = CountFirst })
	last := with(func(o *OutcomeType) { o.Count = CountLast })
	capped := with(func(o *OutcomeType) { o.Cap = 50 })
	e := math.E
	for _, c := range []struct {
		what string
		kind OutcomeType
		rows []Outcome
		want Tally // without the logarithms
		log  float64
	}{
		{"nothing", purchase, nil, Tally{}, 0},
		// 10.00 + 20.00 = 30.00: two outcomes, one success, ln 30
		{"money sums", purchase, []Outcome{row("a", 1000, 1, StatusRecorded), row("b", 2000, 2, StatusRecorded)}, Tally{Outcomes: 2, Successes: 1, Value: 3000}, math.Log(30)},
		// first of 12:01 (20.00) and 12:02 (10.00) is 20.00; arrival order is the other way round
		{"first goes by its time", first, []Outcome{row("a", 1000, 2, StatusRecorded), row("b", 2000, 1, StatusRecorded)}, Tally{Outcomes: 2, Successes: 1, Value: 2000}, math.Log(20)},
		// the same minute: id a stands before id b
		{"first of one time goes by id", first, []Outcome{row("b", 2000, 1, StatusRecorded), row("a", 1000, 1, StatusRecorded)}, Tally{Outcomes: 2, Successes: 1, Value: 1000}, math.Log(10)},
		{"last goes by its time", last, []Outcome{row("a", 1000, 2, StatusRecorded), row("b", 2000, 1, StatusRecorded)}, Tally{Outcomes: 2, Successes: 1, Value: 1000}, math.Log(10)},
		// 40.00 + 30.00 = 70.00, of which 50.00 count
		{"a cap bounds the aggregate", capped, []Outcome{row("a", 4000, 1, StatusRecorded), row("b", 3000, 2, StatusRecorded)}, Tally{Outcomes: 2, Successes: 1, Value: 5000}, math.Log(50)},
		{"below the cap", capped, []Outcome{row("a", 4000, 1, StatusRecorded)}, Tally{Outcomes: 1, Successes: 1, Value: 4000}, math.Log(40)},
		// late: counted as an outcome, not learnt
		{"late is counted, not learnt", purchase, []Outcome{row("a", 1000, 9999, StatusLate)}, Tally{Outcomes: 1}, 0},
		{"late beside recorded", purchase, []Outcome{row("a", 1000, 1, StatusRecorded), row("b", 2000, 9999, StatusLate)}, Tally{Outcomes: 2, Successes: 1, Value: 1000}, math.Log(10)},
		{"held and ignored are nothing yet", purchase, []Outcome{row("a", 1000, 1, StatusHeld), row("b", 2000, 1, StatusIgnored)}, Tally{}, 0},
		// a value of 0 happened, and is no success
		{"zero is an outcome without success", purchase, []Outcome{row("a", 0, 1, StatusRecorded)}, Tally{Outcomes: 1}, 0},
		// 30.00 − 10.00 = 20.00
		{"a partial refund", purchase, []Outcome{row("a", 3000, 1, StatusRecorded), adjustment("r", "a", -1000)}, Tally{Outcomes: 1, Successes: 1, Value: 2000}, math.Log(20)},
		// 30.00 − 10.00 − 20.00 = 0: as if it had not been
		{"a whole refund in two parts", purchase, []Outcome{row("a", 3000, 1, StatusRecorded), adjustment("r", "a", -1000), adjustment("s", "a", -2000)}, Tally{}, 0},
		// 10.00 refunded whole; 20.00 stays: one outcome
		{"one of two refunded", purchase, []Outcome{row("a", 1000, 1, StatusRecorded), row("b", 2000, 2, StatusRecorded), adjustment("r", "a", -1000)}, Tally{Outcomes: 1, Successes: 1, Value: 2000}, math.Log(20)},
		// the first is void: the second is the first
		{"first after the first is refunded", first, []Outcome{row("a", 1000, 1, StatusRecorded), row("b", 2000, 2, StatusRecorded), adjustment("r", "a", -1000)}, Tally{Outcomes: 1, Successes: 1, Value: 2000}, math.Log(20)},
		// a late one refunded whole is no outcome any more
		{"a refund of a late one", purchase, []Outcome{row("a", 1000, 9999, StatusLate), adjustment("r", "a", -1000)}, Tally{}, 0},
		// 10.00 + 5.00 = 15.00
		{"an adjustment upwards", purchase, []Outcome{row("a", 1000, 1, StatusRecorded), adjustment("r", "a", 500)}, Tally{Outcomes: 1, Successes: 1, Value: 1500}, math.Log(15)},
		// ln 0.50 < 0
		{"less than one pound", purchase, []Outcome{row("a", 50, 1, StatusRecorded)}, Tally{Outcomes: 1, Successes: 1, Value: 50}, math.Log(0.5)},
	} {
		want := c.want
		want.LogValue, want.LogValueSq = int64(math.Round(c.log*1e4)), int64(math.Round(c.log*c.log*1e8))
		for range 2 {
			if got := c.kind.Aggregate(c.rows, "GBP"); got != want {
				t.Errorf("%s: %+v, want %+v", c.what, got, want)
			}
			slices.Reverse(c.rows) // order does not matter
		}
	}
	clicks := []Outcome{{ID: "a", Minor: 1, Status: StatusRecorded}, {ID: "b", Minor: 1, Status: StatusRecorded}}
	if got := click.Aggregate(clicks, "GBP"); got != (Tally{Outcomes: 2, Successes: 1, Value: 1}) { // two clicks, one trial: one success
		t.Errorf("two clicks are %+v", got)
	}
	// 272 yen: no minor digits; ln 272
	if got := purchase.Aggregate([]Outcome{row("a", 272, 1, StatusRecorded)}, "JPY"); got.LogValue != int64(math.Round(math.Log(272)*1e4)) {
		t.Errorf("yen: %+v (e is %v)", got, e)
	}
}

func settlement(kind OutcomeType) Settlement {
	return Settlement{Type: kind, Currency: "GBP", Claims: Claims{Serial: 1, At: decided, Until: decided.Add(24 * time.Hour), Experiment: "x",
		Intersection: Intersection{"a", "b", "c", "d"}, Arm: 3, Group: GroupPolicy, Probability: 1}}
}

func TestSettleGivesEachOutcomeItsStatus(t *testing.T) {
	ignored := settlement(purchase)
	ignored.Claims.Ignored = true
	deferred := settlement(purchase)
	deferred.Claims.Deferred = true
	activated := deferred
	activated.Activation = &Activation{At: decided.Add(48 * time.Hour)}
	short := settlement(OutcomeType{Name: "purchase", Type: OutcomeMoney, Window: Duration(time.Hour)})
	for _, c := range []struct {
		what    string
		s       Settlement
		minutes int
		want    Status
		counts  int64 // outcomes that the delta adds
		learns  int64
	}{
		{"in the window", settlement(purchase), 10, StatusRecorded, 1, 1},
		{"on its last moment", settlement(purchase), 24 * 60, StatusRecorded, 1, 1},
		{"after it", settlement(purchase), 24*60 + 1, StatusLate, 1, 0},
		{"after the outcome's own window", short, 61, StatusLate, 1, 0},
		{"ignored", ignored, 10, StatusIgnored, 0, 0},
		{"not activated", deferred, 10, StatusHeld, 0, 0},
		{"in the window from the activation", activated, 72 * 60, StatusRecorded, 1, 1}, // 48 h + 24 h
		{"after the window from the activation", activated, 72*60 + 1, StatusLate, 1, 0},
	} {
		got, deltas, err := c.s.Settle(row("a", 1000, c.minutes, ""), false)
		delta := deltas[0]
		if err != nil || got.Status != c.want || delta.Outcomes != c.counts || delta.Successes != c.learns {
			t.Errorf("%s: %s, %+v, %v", c.what, got.Status, delta.Tally, err)
		}
		if delta.TallyKey != (TallyKey{"x", c.s.Claims.Intersection, 3, GroupPolicy, "purchase", Calendar{}.At(c.s.TrialAt()), 0}) {
			t.Errorf("%s: belongs to %+v", c.what, delta.TallyKey)
		}
	}
}

func TestSettleDuplicatesConflictsAndAdjustments(t *testing.T) {
	a, b := row("a", 3000, 1, StatusRecorded), row("b", 500, 1, StatusLate)
	refund := adjustment("r", "a", -1000)
	change := func(id, of string, minor int64) Outcome { o := adjustment(id, of, minor); o.Status = ""; return o }
	for _, c := range []struct {
		what    string
		earlier []Outcome
		in      Outcome
		whole   bool
		code    Code
		status  Status
		minor   int64
		delta   Tally // without the logarithms
	}{
		{"the same again", []Outcome{a}, row("a", 3000, 5, ""), false, "", StatusDuplicate, 3000, Tally{}},
		{"the same id, another value", []Outcome{a}, row("a", 3001, 5, ""), false, CodeOutcomeConflict, StatusDuplicate, 3001, Tally{}},
		{"the empty id is an id", []Outcome{row("", 3000, 1, StatusRecorded)}, row("", 3000, 5, ""), false, "", StatusDuplicate, 3000, Tally{}},
		{"another id", []Outcome{a}, row("c", 1000, 5, ""), false, "", StatusRecorded, 1000, Tally{Outcomes: 1, Value: 1000}}, // 30 -> 40: the success was there
		{"adjusts nothing", nil, change("r", "a", -1000), false, CodeUnprocessable, "", -1000, Tally{}},
		{"adjusts an adjustment", []Outcome{a, refund}, change("s", "r", 100), false, CodeUnprocessable, "", 100, Tally{}},
		{"a partial refund", []Outcome{a}, change("r", "a", -1000), false, "", StatusRecorded, -1000, Tally{Value: -1000}},                                              // 30 -> 20
		{"exactly all that is left", []Outcome{a, refund}, change("s", "a", -2000), false, "", StatusRecorded, -2000, Tally{Outcomes: -1, Successes: -1, Value: -2000}}, // 20 -> void
		{"below zero", []Outcome{a, refund}, change("s", "a", -2001), false, CodeUnprocessable, "", -2001, Tally{}},
		{"a whole refund", []Outcome{a}, change("r", "a", 0), true, "", StatusRecorded, -3000, Tally{Outcomes: -1, Successes: -1, Value: -3000}},
		{"a whole refund of what is left", []Outcome{a, refund}, change("s", "a", 0), true, "", StatusRecorded, -2000, Tally{Outcomes: -1, Successes: -1, Value: -2000}},
		{"a refund again", []Outcome{a, refund}, change("r", "a", -1000), false, "", StatusDuplicate, -1000, Tally{}},
		{"a whole refund again", []Outcome{a, adjustment("r", "a", -3000)}, change("r", "a", 0), true, "", StatusDuplicate, -3000, Tally{}},
		{"a refund's id with another value", []Outcome{a, refund}, change("r", "a", -1001), false, CodeOutcomeConflict, StatusDuplicate, -1001, Tally{}},
		{"a refund's id on another outcome", []Outcome{a, b, refund}, change("r", "b", -100), false, CodeOutcomeConflict, StatusDuplicate, -100, Tally{}},
		{"a refund with the outcome's id", []Outcome{a}, change("a", "a", -1000), false, CodeOutcomeConflict, StatusDuplicate, -1000, Tally{}},
		{"an outcome with a refund's id", []Outcome{a, refund}, row("r", -1000, 5, ""), false, CodeOutcomeConflict, StatusDuplicate, -1000, Tally{}},
		{"a refund of a late one is late, whenever it comes", []Outcome{b}, change("r", "b", -100), false, "", StatusLate, -100, Tally{}}, // reported 5.00 -> 4.00: one outcome still
		{"a whole refund of a late one", []Outcome{b}, change("r", "b", 0), true, "", StatusLate, -500, Tally{Outcomes: -1}},
	} {
		s := settlement(purchase)
		s.Earlier = c.earlier
		got, deltas, err := s.Settle(c.in, c.whole)
		delta := deltas[0]
		delta.LogValue, delta.LogValueSq = 0, 0
		if ErrorCode(err) != c.code || got.Minor != c.minor || delta.Tally != c.delta || err == nil && got.Status != c.status {
			t.Errorf("%s: %s, minor %d, %+v, %v", c.what, got.Status, got.Minor, delta.Tally, err)
		}
	}
}

func TestActivateMovesTrialAndOutcomes(t *testing.T) {
	plain := settlement(purchase).Claims
	deferred, ignored := plain, plain
	deferred.Deferred, ignored.Ignored = true, true
	at := decided.Add(time.Hour)
	types := []OutcomeType{click, purchase}
	shown := Activation{Serial: 1, At: at, Arm: 3}
	other := Activation{Serial: 1, At: at, Arm: 9, Served: true}
	held, heldLate := row("a", 1000, 10, StatusHeld), row("b", 500, 25*60+1, StatusHeld) // one hour + 24 h: the window's end
	refund := adjustment("r", "a", -200)
	refund.Status, refund.At = StatusHeld, decided.Add(30*24*time.Hour)
	type want struct {
		deltas  map[string]Tally // by arm and event; logarithms left out
		changed map[string]Status
		done    bool
		code    Code
	}
	for _, c := range []struct {
		what    string
		c       Claims
		earlier *Activation
		act     Activation
		rows    []Outcome
		want    want
	}{
		{"what is a trial stays one", plain, nil, shown, nil, want{done: true}},
		{"ignored stays ignored", ignored, nil, other, nil, want{done: true}},
		{"deferred becomes a trial", deferred, nil, shown, nil, want{deltas: map[string]Tally{"3/": {Trials: 1}}}},
		{"again", deferred, &shown, shown, nil, want{done: true}},
		{"again with the served arm", deferred, &other, other, nil, want{done: true}},
		{"again without naming it", deferred, &other, shown, nil, want{done: true}},
		{"another arm than before", deferred, &shown, other, nil, want{code: CodeDecisionConflict}},
		{"another served arm than before", plain, &other, Activation{Arm: 8, Served: true}, nil, want{code: CodeDecisionConflict}},
		// 10.00 held and 5.00 too late: on activation two outcomes, one success of 10.00
		{"held outcomes count", deferred, nil, shown, []Outcome{held, heldLate}, want{
			deltas:  map[string]Tally{"3/": {Trials: 1}, "3/purchase": {Outcomes: 2, Successes: 1, Value: 1000}, "3/~late/purchase": {Successes: 1}},
			changed: map[string]Status{"a": StatusRecorded, "b": StatusLate}}},
		// 10.00 − 2.00 = 8.00; the refund has the timing of what it adjusts, though it came a month later
		{"a held refund follows what it adjusts", deferred, nil, shown, []Outcome{held, refund}, want{
			deltas:  map[string]Tally{"3/": {Trials: 1}, "3/purchase": {Outcomes: 1, Successes: 1, Value: 800}},
			changed: map[string]Status{"a": StatusRecorded, "r": StatusRecorded}}},
		{"held outcomes count for the served arm", deferred, nil, other, []Outcome{held}, want{
			deltas:  map[string]Tally{"9/": {Trials: 1}, "9/purchase": {Outcomes: 1, Successes: 1, Value: 1000}},
			changed: map[string]Status{"a": StatusRecorded}}},
		// the decided arm gives its trial and its 10.00 to the served one
		{"served moves everything", plain, nil, other, []Outcome{row("a", 1000, 10, StatusRecorded)}, want{
			deltas: map[string]Tally{"3/": {Trials: -1}, "9/": {Trials: 1}, "3/purchase": {Outcomes: -1, Successes: -1, Value: -1000},
				"9/purchase": {Outcomes: 1, Successes: 1, Value: 1000}}}},
	} {
		deltas, changed, done, err := Activate(c.c, c.earlier, c.act, types, "GBP", c.rows)
		got := want{done: done, code: ErrorCode(err)}
		for _, d := range deltas {
			if got.deltas == nil {
				got.deltas = map[string]Tally{}
			}
			if d.LogValue, d.LogValueSq = 0, 0; d.Delay != 0 {
				continue
			}
			got.deltas[fmt.Sprintf("%d/%s", d.Arm, d.Event)] = d.Tally
		}
		for _, r := range changed {
			if got.changed == nil {
				got.changed = map[string]Status{}
			}
			got.changed[r.ID] = r.Status
		}
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.what, got, c.want)
		}
	}
}

// book is a decision's side of the ledger, kept as the store keeps it.
type book struct {
	c          Claims
	types      []OutcomeType
	activation *Activation
	rows       []Outcome
	sums       map[TallyKey]Tally
}

func newBook(c Claims, types []OutcomeType) *book {
	b := &book{c: c, types: types, sums: map[TallyKey]Tally{}}
	if !c.Deferred && !c.Ignored {
		b.add(Settlement{Claims: c}.Trial(1))
	}
	return b
}

func (b *book) add(d Delta) {
	b.sums[d.TallyKey] = b.sums[d.TallyKey].Plus(d.Tally)
	if b.sums[d.TallyKey] == (Tally{}) {
		delete(b.sums, d.TallyKey)
	}
}

func (b *book) outcome(kind OutcomeType, in Outcome, whole bool) (Outcome, error) {
	in.Event = kind.Name
	var earlier []Outcome
	for _, r := range b.rows {
		if r.Event == kind.Name {
			earlier = append(earlier, r)
		}
	}
	got, deltas, err := Settlement{Claims: b.c, Activation: b.activation, Type: kind, Currency: "GBP", Earlier: earlier}.Settle(in, whole)
	if err == nil && got.Status != StatusDuplicate {
		b.rows = append(b.rows, got)
		for _, d := range deltas {
			b.add(d)
		}
	}
	return got, err
}

func (b *book) activate(a Activation) {
	deltas, changed, done, err := Activate(b.c, b.activation, a, b.types, "GBP", b.rows)
	if done || err != nil {
		return
	}
	b.activation = &a
	for _, c := range changed {
		for i := range b.rows {
			if b.rows[i].Event == c.Event && b.rows[i].ID == c.ID {
				b.rows[i].Status = c.Status
			}
		}
	}
	for _, d := range deltas {
		b.add(d)
	}
}

// fold is what the rows that are stored add up to.
func (b *book) fold() map[TallyKey]Tally {
	out := map[TallyKey]Tally{}
	s := Settlement{Claims: b.c, Activation: b.activation}
	if !s.Active() {
		return out
	}
	trial := s.Trial(1)
	out[trial.TallyKey] = trial.Tally
	for _, kind := range b.types {
		var rows []Outcome
		for _, r := range b.rows {
			if r.Event == kind.Name {
				rows = append(rows, r)
			}
		}
		s.Type, s.Currency = kind, "GBP"
		for _, d := range s.Learnt(rows) {
			if d.Tally != (Tally{}) {
				out[d.TallyKey] = d.Tally
			}
		}
	}
	return out
}

func same(a, b map[TallyKey]Tally) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// TestDeltasAddUpToTheFold: whatever comes for a decision, in whatever order, the deltas' sum is the fold of the rows.
func TestDeltasAddUpToTheFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := OutcomeType{Name: "purchase", Type: OutcomeMoney, Count: rapid.SampledFrom([]string{"", CountFirst, CountSum, CountLast}).Draw(t, "count"),
			Cap: rapid.SampledFrom([]float64{0, 15}).Draw(t, "cap")}
		c := settlement(kind).Claims
		c.Deferred, c.Ignored = rapid.Bool().Draw(t, "deferred"), rapid.IntRange(0, 9).Draw(t, "ignored") == 0
		b := newBook(c, []OutcomeType{click, kind})
		ids := rapid.SampledFrom([]string{"", "a", "b", "c"})
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			minutes := rapid.SampledFrom([]int{1, 2, 60, 24 * 60, 24*60 + 1, 60 * 60}).Draw(t, "minutes")
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				_, _ = b.outcome(click, row(ids.Draw(t, "id"), rapid.Int64Range(0, 1).Draw(t, "click"), minutes, ""), false)
			case 1, 2:
				_, _ = b.outcome(kind, row(ids.Draw(t, "id"), rapid.SampledFrom([]int64{0, 1, 1000, 2000}).Draw(t, "minor"), minutes, ""), false)
			case 3:
				in := adjustment(rapid.SampledFrom([]string{"r", "s", "a"}).Draw(t, "refund"), ids.Draw(t, "of"), rapid.SampledFrom([]int64{-2000, -1000, -1, 500}).Draw(t, "change"))
				_, _ = b.outcome(kind, in, rapid.Bool().Draw(t, "whole"))
			case 4:
				a := Activation{At: decided.Add(time.Duration(minutes) * time.Minute), Arm: c.Arm}
				if rapid.Bool().Draw(t, "served") {
					a.Arm, a.Served = 9, true
				}
				b.activate(a)
			}
			if want := b.fold(); !same(b.sums, want) {
				t.Fatalf("the deltas add up to %v, the rows to %v", b.sums, want)
			}
		}
	})
}

// TestWholeRefundsUndoExactly: what is refunded whole leaves no trace in any tally.
func TestWholeRefundsUndoExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := OutcomeType{Name: "purchase", Type: OutcomeMoney, Count: rapid.SampledFrom([]string{CountFirst, CountSum, CountLast}).Draw(t, "count"),
			Cap: rapid.SampledFrom([]float64{0, 15}).Draw(t, "cap")}
		b := newBook(settlement(kind).Claims, []OutcomeType{kind})
		n := rapid.IntRange(1, 5).Draw(t, "n")
		for i := range n {
			in := row(fmt.Sprint(i), rapid.Int64Range(1, 1e6).Draw(t, "minor"), rapid.IntRange(0, 2000).Draw(t, "minutes"), "")
			if _, err := b.outcome(kind, in, false); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "partly first") {
				if _, err := b.outcome(kind, adjustment(fmt.Sprint("p", i), in.ID, -rapid.Int64Range(0, in.Minor-1).Draw(t, "part")), false); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, i := range rapid.Permutation([]int{0, 1, 2, 3, 4}[:n]).Draw(t, "order") {
			if _, err := b.outcome(kind, adjustment(fmt.Sprint("r", i), fmt.Sprint(i), 0), true); err != nil {
				t.Fatal(err)
			}
		}
		if want := newBook(b.c, nil).sums; !same(b.sums, want) {
			t.Fatalf("%v is left, not %v", b.sums, want)
		}
	})
}

// TestOrderOfIndependentOutcomesDoesNotMatter: outcomes of different ids give the same tallies however they arrive.
func TestOrderOfIndependentOutcomesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := OutcomeType{Name: "purchase", Type: OutcomeMoney, Count: rapid.SampledFrom([]string{CountFirst, CountSum, CountLast}).Draw(t, "count")}
		var in []Outcome
		for i := range rapid.IntRange(2, 6).Draw(t, "n") {
			in = append(in, row(fmt.Sprint(i), rapid.Int64Range(0, 1e5).Draw(t, "minor"), rapid.SampledFrom([]int{1, 5, 5000}).Draw(t, "minutes"), ""))
		}
		play := func(order []Outcome) map[TallyKey]Tally {
			b := newBook(settlement(kind).Claims, []OutcomeType{kind})
			for _, o := range order {
				if _, err := b.outcome(kind, o, false); err != nil {
					t.Fatal(err)
				}
			}
			return b.sums
		}
		one := play(in)
		if other := play(rapid.Permutation(in).Draw(t, "order")); !same(one, other) {
			t.Fatalf("%v in one order, %v in another", one, other)
		}
	})
}
