package experiments

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
)

// When a read-out may call a winner. They stand here, once, because grid, page, API and replay must agree.
const (
	// WinnerPBest is the probability of being the best action from which a leader is called the winner (Verdict.settle). Cells that each
	// pass it also pass statistics E.6 together: the mean of 1 − P(best) over them is at most 5%.
	WinnerPBest = 0.95
	// ThinTrials is the number of a cell's own decisions below which nothing is called there, whatever is borrowed.
	ThinTrials = 100
)

// State of a cell, a segment or an intersection.
type State string

// The states.
const (
	StateWinner  State = "winner"  // P(best) is at least WinnerPBest, the expected loss within ClaimMargin, and the evidence is not thin
	StateLeaning State = "leaning" // enough evidence, no winner yet
	StateThin    State = "thin"    // under ThinTrials own decisions, or the leader's own weigh less than what is borrowed
	StateEmpty   State = "empty"   // no decision here
)

// Estimate is an untempered posterior as people read it (statistics B.6). Rates are shares of decisions in [0, 1].
type Estimate struct {
	Mean      float64 `json:"mean"`      // of the rate
	Low       float64 `json:"low"`       // of its 95% interval
	High      float64 `json:"high"`      // of its 95% interval
	PBest     float64 `json:"pBest"`     // probability of being the best
	Loss      float64 `json:"loss"`      // expected loss in rate of always choosing it
	Value     float64 `json:"value"`     // of a money goal: expected value of a decision, major currency units
	Own       float64 `json:"own"`       // decisions here
	Successes float64 `json:"successes"` // of those
	Borrowed  float64 `json:"borrowed"`  // what broader evidence weighs, in decisions
	Alpha     float64 `json:"alpha"`     // of the Beta view
	Beta      float64 `json:"beta"`      // of the Beta view
}

func estimate(p policy.Posterior) Estimate {
	return Estimate{Mean: p.Mean, Low: p.Low, High: p.High, PBest: p.PBest, Loss: p.Loss, Value: p.Value,
		Own: p.Own, Successes: p.OwnSuccesses, Borrowed: p.Borrowed, Alpha: p.Alpha, Beta: p.Beta}
}

// Posterior gives back what the densities are drawn from.
func (e Estimate) Posterior() policy.Posterior {
	return policy.Posterior{Alpha: e.Alpha, Beta: e.Beta, Borrowed: e.Borrowed, Own: e.Own, OwnSuccesses: e.Successes,
		Mean: e.Mean, Low: e.Low, High: e.High, PBest: e.PBest, Loss: e.Loss, Value: e.Value}
}

// ActionEstimate is an action, summed over its copies, in one place.
type ActionEstimate struct {
	Action string `json:"action"`
	Name   string `json:"name"`
	Copy   string `json:"copy"` // its best copy's id
	Estimate
}

// ActionInfo is an action of the experiment, in the order in which its first arm was written, which no later action
// changes: colours and letters stay.
type ActionInfo struct {
	Action    string `json:"action"`
	Name      string `json:"name"`
	Type      string `json:"type"`
	Headline  string `json:"headline"` // of its first copy that may be shown
	Index     int    `json:"index"`
	Letter    string `json:"letter"` // A to Z, then AA
	Live      bool   `json:"live"`   // an arm of it competes
	Trials    int64  `json:"trials"` // in what was read, past arms included
	Successes int64  `json:"successes"`
}

func letter(i int) string {
	s := ""
	for ; i >= 0; i = i/26 - 1 {
		s = string(rune('A'+i%26)) + s
	}
	return s
}

// tallies are the teaching groups' sums of one arm, as integers: order never matters.
// open says that the arm may be shown at one of the places summed, or was.
type tallies struct {
	trials, successes, logValue, logValueSq int64
	open                                    bool
}

func (t *tallies) add(o tallies) {
	t.trials += o.trials
	t.successes += o.successes
	t.logValue += o.logValue
	t.logValueSq += o.logValueSq
	t.open = t.open || o.open
}

// contest is who competes in a read-out: the live arms, in order of id. Where none is live (a stopped experiment), every
// arm that has evidence competes, so that the past can still be read.
type contest struct {
	ev     *Evidence
	ids    []juncture.ArmID // competing first, then past
	arms   []policy.Arm     // the competing ones
	index  map[juncture.ArmID]int
	value  bool
	nobody bool // no arm is live

	traffic map[juncture.Intersection]int64 // trials of the teaching groups, of pooled evidence
}

func newContest(ev *Evidence) *contest {
	c := &contest{ev: ev, index: make(map[juncture.ArmID]int, len(ev.Arms)),
		value: MoneyGoal(*ev)}
	c.nobody = true
	for id, info := range ev.Arms {
		if id == 0 {
			continue
		}
		c.ids = append(c.ids, id)
		c.nobody = c.nobody && !info.Live
	}
	slices.SortFunc(c.ids, func(a, b juncture.ArmID) int {
		live := func(id juncture.ArmID) int {
			if ev.Arms[id].Live || c.nobody {
				return 0
			}
			return 1
		}
		return cmp.Or(live(a)-live(b), cmp.Compare(a, b))
	})
	for i, id := range c.ids {
		c.index[id] = i
		if info := ev.Arms[id]; info.Live || c.nobody {
			c.arms = append(c.arms, policy.Arm{ID: id, Action: info.Arm.Action})
		}
	}
	if ev.Read != nil {
		c.traffic = make(map[juncture.Intersection]int64, len(ev.Cells))
		for i := range ev.Cells {
			for _, r := range ev.Cells[i].Rows {
				if r.Event == "" && r.Arm != 0 && r.Group.Teaches() {
					c.traffic[ev.Cells[i].Intersection] += r.Trials
				}
			}
		}
	}
	return c
}

func (c *contest) vector() []tallies { return make([]tallies, len(c.ids)) }

// add adds a leaf's teaching rows to a vector of tallies, parallel to c.ids. Rows of arms that nobody described are
// left out: they can neither be named nor compete.
func (c *contest) add(v []tallies, cell *juncture.Cell) {
	c.open(v, cell.Intersection)
	goal := c.ev.Outcome.Name
	last, at := juncture.ArmID(0), -1
	for i := range cell.Rows {
		r := &cell.Rows[i]
		if r.Arm == 0 || !r.Group.Teaches() {
			continue
		}
		if r.Arm != last {
			last, at = r.Arm, -1
			if j, ok := c.index[r.Arm]; ok {
				at = j
			}
		}
		if at < 0 {
			continue
		}
		switch r.Event {
		case "":
			v[at].add(tallies{trials: r.Trials, open: r.Trials > 0})
		case goal:
			v[at].add(tallies{successes: r.Successes, logValue: r.LogValue, logValueSq: r.LogValueSq})
		}
	}
}

// open notes the competing arms that may be shown at an intersection.
func (c *contest) open(v []tallies, x juncture.Intersection) {
	var eligible map[juncture.ArmID]bool
	if c.ev.Eligible != nil {
		eligible = c.ev.Eligible(x)
	}
	for i := range c.arms {
		if eligible == nil || eligible[c.arms[i].ID] {
			v[i].open = true
		}
	}
}

// sum returns the trials and successes of the competing arms.
func (c *contest) sum(v []tallies) (t tallies) {
	for i := range c.arms {
		t.add(v[i])
	}
	return t
}

// rung is a step of the ladder: what it adds, and its tallies, those of the narrower rungs included.
type rung struct {
	layer int // -1 for the store's
	sums  []tallies
}

// climbable makes a ladder one that the policy climbs: each rung after the store's adds a later layer than the one
// before. Where several rungs are axes of one layer, or a broad one stands after a narrow one, the next free layer lends
// its width; of more than four, the narrowest are kept.
func climbable(ladder []rung) []rung {
	if extra := len(ladder) - 1 - juncture.LayerCount; extra > 0 {
		ladder = append(ladder[:1:1], ladder[1+extra:]...)
	}
	for i := 1; i < len(ladder); i++ {
		ladder[i].layer = max(ladder[i].layer, ladder[i-1].layer+1)
	}
	most := juncture.LayerCount - 1
	for i := len(ladder) - 1; i > 0; i-- {
		ladder[i].layer = min(ladder[i].layer, most)
		most = ladder[i].layer - 1
	}
	return ladder
}

// read asks what is believed at a place of the arms that are open at the ladder's last rung (all, where none is); the
// posterior of another is the zero one. Counts that only a half-imported ledger can hold are cut: successes beyond the trials, or
// below zero.
func (c *contest) read(at []juncture.Intersection, ladder []rung) (policy.ReadOut, error) {
	ladder = climbable(slices.Clone(ladder))
	here := ladder[len(ladder)-1].sums
	open := make([]int, 0, len(c.arms))
	for k := range c.arms {
		if here[k].open {
			open = append(open, k)
		}
	}
	if len(open) == 0 {
		for k := range c.arms {
			open = append(open, k)
		}
	}
	var out policy.ReadOut
	var err error
	if c.ev.Read != nil {
		out, err = c.pooled(at, here, open)
	} else {
		out, err = c.climbed(ladder, open)
	}
	if err != nil || len(open) == len(c.arms) {
		return out, err
	}
	all := make([]policy.Posterior, len(c.arms))
	for i, k := range open {
		all[k] = out.Arms[i]
	}
	for i := range out.Actions {
		out.Actions[i].Best = open[out.Actions[i].Best]
	}
	out.Arms = all
	return out, nil
}

// pooled reads the pooled posterior, with the counts that are there now. Of a place that sums several intersections, what
// was seen there is in the posterior's weight already.
func (c *contest) pooled(at []juncture.Intersection, here []tallies, open []int) (policy.ReadOut, error) {
	ids := make([]juncture.ArmID, len(open))
	for i, k := range open {
		ids[i] = c.arms[k].ID
	}
	traffic := make([]float64, len(at))
	for i, x := range at {
		traffic[i] = 1 // a place without a decision is looked at all the same
		if len(at) > 1 {
			traffic[i] = float64(c.traffic[x])
		}
	}
	out, err := c.ev.Read(at, traffic, ids)
	if err != nil {
		return out, err
	}
	own := func(p *policy.Posterior, t tallies) {
		if p.Own == 0 {
			p.Borrowed = max(0, p.Alpha+p.Beta-float64(t.trials))
		}
		p.Own, p.OwnSuccesses = float64(max(t.trials, 0)), float64(min(max(t.successes, 0), max(t.trials, 0)))
	}
	sums := map[string]*tallies{}
	for i, k := range open {
		own(&out.Arms[i], here[k])
		t := sums[c.arms[k].Action]
		if t == nil {
			t = &tallies{}
			sums[c.arms[k].Action] = t
		}
		t.add(here[k])
	}
	for i := range out.Actions {
		own(&out.Actions[i].Posterior, *sums[out.Actions[i].Action])
	}
	return out, nil
}

// climbed reads the ladder.
func (c *contest) climbed(ladder []rung, open []int) (policy.ReadOut, error) {
	s := policy.Situation{Arms: make([]policy.Arm, len(open)), Rungs: make([]policy.Rung, len(ladder)), Value: c.value}
	for i, k := range open {
		s.Arms[i] = c.arms[k]
	}
	counts := make([]policy.Counts, len(ladder)*len(open))
	for i, r := range ladder {
		s.Rungs[i] = policy.Rung{Layer: r.layer, Counts: counts[:len(open):len(open)]}
		counts = counts[len(open):]
		for j, k := range open {
			t := r.sums[k]
			trials := max(t.trials, 0)
			n := policy.Counts{Trials: float64(trials), Successes: float64(min(max(t.successes, 0), trials))}
			if n.Successes > 0 {
				n.LogValue, n.LogValueSq = float64(t.logValue)/1e4, float64(max(t.logValueSq, 0))/1e8
			}
			s.Rungs[i].Counts[j] = n
		}
	}
	return policy.Read(&s)
}

// Verdict is what may be said in one place.
type Verdict struct {
	State    State           `json:"state"`
	Thin     bool            `json:"thin"`
	Reason   string          `json:"reason,omitempty"` // why it is thin, or has not won
	Winner   *ActionEstimate `json:"winner,omitempty"` // the leader; a winner only in StateWinner
	RunnerUp *ActionEstimate `json:"runnerUp,omitempty"`
}

func (c *contest) action(out *policy.ReadOut, i int) *ActionEstimate {
	a := out.Actions[i]
	e := &ActionEstimate{Action: a.Action, Name: Title(a.Action), Estimate: estimate(a.Posterior)}
	if a.Best >= 0 && a.Best < len(c.arms) {
		e.Copy = c.ev.Arms[c.arms[a.Best].ID].Arm.Copy
	}
	return e
}

// better orders estimates by what the goal maximises, best first.
func (c *contest) better(a, b Estimate) int {
	if c.value && a.Value != b.Value {
		return cmp.Compare(b.Value, a.Value)
	}
	return cmp.Compare(b.Mean, a.Mean)
}

// judge reads the ladder's last rung and says what may be said there. An empty place has no leader: all would be
// borrowed.
func (c *contest) judge(at []juncture.Intersection, ladder []rung) (Verdict, error) {
	own := c.sum(ladder[len(ladder)-1].sums)
	if own.trials <= 0 || len(c.arms) == 0 {
		return Verdict{State: StateEmpty}, nil
	}
	out, err := c.read(at, ladder)
	if err != nil {
		return Verdict{}, err
	}
	return c.verdict(&out, own), nil
}

func (c *contest) verdict(out *policy.ReadOut, own tallies) Verdict {
	v := Verdict{Winner: c.action(out, out.Winner)}
	for i := range out.Actions {
		if i == out.Winner {
			continue
		}
		if e := c.action(out, i); v.RunnerUp == nil || c.better(e.Estimate, v.RunnerUp.Estimate) < 0 {
			v.RunnerUp = e
		}
	}
	switch {
	case own.trials < ThinTrials:
		v.Reason = fmt.Sprintf("only %s here, %d are needed", plural(own.trials, "decision", "decisions"), ThinTrials)
	case v.Winner.Own < v.Winner.Borrowed:
		v.Reason = fmt.Sprintf("%s has %s here, which weigh less than the %s borrowed", v.Winner.Name,
			plural(int64(v.Winner.Own), "decision", "decisions"), Count(int64(math.Round(v.Winner.Borrowed))))
	}
	v.Thin = v.Reason != ""
	switch {
	case own.trials <= 0:
		v = Verdict{State: StateEmpty, Winner: v.Winner, RunnerUp: v.RunnerUp}
	case v.Thin:
		v.State = StateThin
	default:
		v.settle(c.value)
	}
	return v
}

// actions lists every action of the evidence with its sums in v.
func (c *contest) actions(v []tallies) []ActionInfo {
	ids := slices.Sorted(slices.Values(c.ids))
	at := map[string]int{}
	var out []ActionInfo
	for _, id := range ids {
		info := c.ev.Arms[id]
		i, ok := at[info.Arm.Action]
		if !ok {
			i = len(out)
			at[info.Arm.Action] = i
			out = append(out, ActionInfo{Action: info.Arm.Action, Name: Title(info.Arm.Action), Type: info.Type,
				Headline: info.Headline, Index: i, Letter: letter(i)})
		}
		a := &out[i]
		j := c.index[id]
		if j < len(c.arms) {
			if !a.Live {
				a.Headline, a.Type = info.Headline, info.Type
			}
			a.Live = true
		}
		a.Trials += v[j].trials
		a.Successes += v[j].successes
	}
	return out
}

// figures writes the goal's two numbers of a comparison, "6.1%" or "£1.20 a decision".
func (c *contest) figures(e Estimate) string {
	if c.value {
		return Money(e.Value, c.ev.Currency) + " a decision"
	}
	return Percent(e.Mean)
}

// sentence is the first thing a page says of one place. who is its phrase, from the phrase of the rung it borrows from,
// empty where there is none.
func (c *contest) sentence(v Verdict, own int64, who, from string) string {
	if len(c.arms) == 0 {
		return "No action has been offered here yet. Add one to the pool and have it approved."
	}
	if v.State == StateEmpty {
		return "Not enough data yet: no decision has been made for " + who + "."
	}
	n := plural(own, "decision", "decisions") + " here"
	if from != "" {
		n += ", the rest borrowed from " + from
	}
	w := v.Winner
	if v.RunnerUp == nil {
		return fmt.Sprintf("%s is the only action for %s: %s; %s. Approve a second one to compare it with.", w.Name, who, c.figures(w.Estimate), n)
	}
	against := fmt.Sprintf("%s against %s for %s, %s", c.figures(w.Estimate), strings.TrimSuffix(c.figures(v.RunnerUp.Estimate), " a decision"),
		v.RunnerUp.Name, sureWords(w.PBest))
	switch v.State {
	case StateWinner:
		return fmt.Sprintf("%s wins for %s: %s; %s.", w.Name, who, against, n)
	case StateLeaning:
		if v.Reason != "" {
			return fmt.Sprintf("%s leads for %s but has not won yet, because %s: %s; %s.", w.Name, who, v.Reason, against, n)
		}
		return fmt.Sprintf("%s leads for %s but has not won yet: %s; %s.", w.Name, who, against, n)
	}
	return fmt.Sprintf("Not enough data yet: %s. %s leads for %s: %s; %s.", v.Reason, w.Name, who, against, n)
}

// Actions describes every action of the evidence, with its letter and colour, by id. Its sums are zero.
func Actions(ev Evidence) map[string]ActionInfo {
	c := newContest(&ev)
	out := map[string]ActionInfo{}
	for _, a := range c.actions(c.vector()) {
		out[a.Action] = a
	}
	return out
}

// MoneyGoal reports whether the experiment maximises value, of money or of weighted outcomes, rather than a rate.
func MoneyGoal(ev Evidence) bool {
	return len(ev.Experiment.Goal.Weights) > 0 || ev.Outcome.Type == juncture.OutcomeMoney && ev.Experiment.Goal.Measure != juncture.MeasureRate
}
