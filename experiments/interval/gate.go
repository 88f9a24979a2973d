package interval

import (
	"fmt"
	"math"
	"time"

	"github.com/juncture/juncture"
)

// Rule is what an expansion asks of the interval of the relative lift.
type Rule string

// The rules.
const (
	RuleLower    Rule = "lower"    // lower bound >= threshold
	RuleEstimate Rule = "estimate" // lower bound > 0 and estimate >= threshold
)

// State is where a gate stands.
type State string

// The states; all but Waiting are final.
const (
	Waiting   State = "waiting"
	Expand    State = "expand"
	Futile    State = "futile"    // the upper bound is under the threshold
	Undecided State = "undecided" // the last week has passed
)

// Gate decides whether an experiment's policy is expanded (docs/statistics.md, E.8). It decides only at whole weeks, so that every
// weekday counts alike.
type Gate struct {
	Threshold float64 // relative lift, such as 0.30; > −1
	Rule      Rule    // "" is RuleEstimate
	MinWeeks  int     // 0 is 4
	MaxWeeks  int     // 0 is 8; at least MinWeeks
}

// Look is what a gate is shown.
type Look struct {
	Started, Now time.Time
	Relative     Bounds   // of the relative lift; its Anytime interval decides
	Shoppers     int64    // of all groups, whose window has closed
	Plan         Forecast // of all groups; the zero Forecast is none
}

// Verdict is a gate's answer. The zero Verdict is before the first look.
type Verdict struct {
	State    State
	Weeks    int       // the last whole week that was judged
	Sentence string    // plain words
	By       time.Time // when it will be decided: a whole week. Once decided, when it was
}

func (g Gate) settled() (Gate, error) {
	if g.Rule == "" {
		g.Rule = RuleEstimate
	}
	if g.MinWeeks == 0 {
		g.MinWeeks = 4
	}
	if g.MaxWeeks == 0 {
		g.MaxWeeks = max(8, g.MinWeeks)
	}
	if !(g.Threshold > -1 && g.Threshold <= 1e3) || g.Rule != RuleLower && g.Rule != RuleEstimate || g.MinWeeks < 1 || g.MaxWeeks < g.MinWeeks || g.MaxWeeks > 520 {
		return g, juncture.Errorf(juncture.CodeInternal, "a gate with threshold %g, rule %q and %d to %d weeks", g.Threshold, g.Rule, g.MinWeeks, g.MaxWeeks)
	}
	return g, nil
}

const week = 7 * 24 * time.Hour

// Step judges a look. A final verdict stays; between whole weeks nothing is decided, whatever the interval says; of several looks in a week
// the first counts. The week before MinWeeks is never judged: what a learning policy earns still grows.
func (g Gate) Step(before Verdict, l Look) (Verdict, error) {
	g, err := g.settled()
	if err != nil {
		return before, err
	}
	i := l.Relative.Anytime
	if l.Shoppers < 0 || l.Now.Before(l.Started) || l.Relative.NotEnough == nil && !(i.Low <= i.Estimate && i.Estimate <= i.High) {
		return before, juncture.Errorf(juncture.CodeInternal, "a look at %d shoppers, %s after the start, at %v", l.Shoppers, l.Now.Sub(l.Started), i)
	}
	switch before.State {
	case Expand, Futile, Undecided:
		return before, nil
	}
	weeks := int(l.Now.Sub(l.Started) / week)
	v := Verdict{State: Waiting, Weeks: before.Weeks}
	if weeks >= g.MinWeeks && weeks > before.Weeks {
		v.Weeks = weeks
		v.State = g.judge(l.Relative, weeks)
	}
	if v.State == Waiting {
		v.By, v.Sentence = g.wait(l, weeks)
		return v, nil
	}
	v.By, v.Sentence = l.Started.Add(time.Duration(weeks)*week), g.say(v.State, l.Relative, weeks)
	return v, nil
}

func (g Gate) judge(b Bounds, weeks int) State {
	i := b.Anytime
	switch {
	case b.NotEnough == nil && i.High < g.Threshold:
		return Futile
	case b.NotEnough == nil && g.Rule == RuleLower && i.Low >= g.Threshold,
		b.NotEnough == nil && g.Rule == RuleEstimate && i.Low > 0 && i.Estimate >= g.Threshold:
		return Expand
	case weeks >= g.MaxWeeks:
		return Undecided
	}
	return Waiting
}

func (g Gate) asks() string {
	if g.Rule == RuleLower {
		return fmt.Sprintf("a lower bound of at least %s", percent(g.Threshold))
	}
	return fmt.Sprintf("a lower bound above 0 and an estimate of at least %s", percent(g.Threshold))
}

func (g Gate) say(s State, b Bounds, weeks int) string {
	i := b.Anytime
	seen := fmt.Sprintf("After %d weeks the lift is %s, between %s and %s", weeks, percent(i.Estimate), percent(i.Low), percent(i.High))
	if b.NotEnough != nil {
		return fmt.Sprintf("Undecided after %d weeks: %s", weeks, b.NotEnough.Reason)
	}
	switch s {
	case Expand:
		return fmt.Sprintf("%s: expand, since the rule asks for %s.", seen, g.asks())
	case Futile:
		return fmt.Sprintf("%s: do not expand, since even the upper bound is under %s.", seen, percent(g.Threshold))
	}
	return fmt.Sprintf("%s: undecided, since the rule asks for %s and the time is up.", seen, g.asks())
}

// wait foretells the decision: the first whole week, from MinWeeks on, by which the plan's median of shoppers has come at the traffic so far, and
// at the latest MaxWeeks.
func (g Gate) wait(l Look, weeks int) (time.Time, string) {
	next := max(g.MinWeeks, weeks+1)
	latest := max(g.MaxWeeks, next)
	at := func(w int) time.Time { return l.Started.Add(time.Duration(w) * week) }
	day := func(w int) string { return at(w).UTC().Format("2 January 2006") }
	head := fmt.Sprintf("Waiting: decided at whole weeks, from week %d to week %d, by %s.", g.MinWeeks, g.MaxWeeks, g.asks())
	elapsed := l.Now.Sub(l.Started)
	if !(l.Plan.Median > 0) || l.Shoppers == 0 || elapsed <= 0 {
		return at(latest), fmt.Sprintf("%s At the latest on %s.", head, day(latest))
	}
	perWeek := float64(l.Shoppers) / (float64(elapsed) / float64(week))
	need := math.Ceil(l.Plan.Median / perWeek)
	if need <= float64(latest) {
		w := min(latest, max(next, int(need)))
		return at(w), fmt.Sprintf("%s At %.0f shoppers a week and the planned %.0f in all, expect it on %s.", head, perWeek, l.Plan.Median, day(w))
	}
	if math.IsInf(need, 1) {
		return at(latest), fmt.Sprintf("%s At the declared lift no number of shoppers decides it, so it will end undecided on %s unless the lift is another.", head, day(latest))
	}
	return at(latest), fmt.Sprintf("%s At %.0f shoppers a week the planned %.0f take %.0f weeks, so it will probably end undecided on %s: more traffic or a larger holdout would decide it.",
		head, perWeek, l.Plan.Median, need, day(latest))
}

func percent(v float64) string { return fmt.Sprintf("%+.1f%%", 100*v) }
