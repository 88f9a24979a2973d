package evaluate

import (
	"fmt"
	"io"
	"strings"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments/offpolicy"
)

// What Worth asks: targets in this order, and comparisons of them.
const (
	personal = iota
	single
	tiers // from the store to the full intersection
)

// WorthOf are the targets and comparisons of an experiment's worth: the policy against the best single arm, and each tier
// against the one before. What ran is the policy where it is the pooled one; of any other experiment it is the pooled
// policy that could have run.
func WorthOf(x *juncture.Experiment) ([]Target, []Comparison) {
	targets := []Target{Logged(), BestArm()}
	if !juncture.Pooled(x.Policy) {
		targets[personal] = Ceiling(juncture.TierFull)
	}
	comparisons := []Comparison{{personal, single}}
	for t := juncture.TierStore; t <= juncture.TierFull; t++ {
		targets = append(targets, Ceiling(t))
		if t > juncture.TierStore {
			comparisons = append(comparisons, Comparison{tiers + int(t), tiers + int(t) - 1})
		}
	}
	return targets, comparisons
}

// Verdict on a difference.
type Verdict string

// The verdicts: by the interval that holds at any time.
const (
	VerdictBetter  Verdict = "better"  // it lies above 0
	VerdictWorse   Verdict = "worse"   // it lies below 0
	VerdictUnclear Verdict = "unclear" // it holds 0
	VerdictUnknown Verdict = "unknown" // there is none: too little can be said
)

// Worth says whether personalising is worth it here, and which layer earns its place.
type Worth struct {
	Report
	NoHarm Finding `json:"noHarm"`
	Tiers  []Step  `json:"tiers"` // from moment on
}

// Finding is a difference in words.
type Finding struct {
	Verdict  Verdict            `json:"verdict"`
	Sentence string             `json:"sentence"`
	Share    float64            `json:"share"` // the difference over the other's value; 0: none can be said
	Estimate offpolicy.Estimate `json:"estimate"`

	why string // of VerdictUnknown
}

// leastHits is how many decisions with an outcome tell two policies apart before an interval is read (statistics E.3).
const (
	leastHits   = 20
	leastOrders = 100 // of money
)

// Step is what a tier adds to the one before.
type Step struct {
	Tier string `json:"tier"`
	Finding
}

// Worth reads a walk of WorthOf.
func (w *Walk) Worth() Worth {
	r := w.Report()
	out := Worth{Report: r, Tiers: []Step{}}
	out.NoHarm = r.finding(0, r.Policies[single].Estimate)
	best := "the best single arm"
	if arm := r.Policies[single].Arm; arm != "" {
		best += " (now " + arm + ")"
	}
	would := func(ran, could string) string { // what ran, and what only could have
		if juncture.Pooled(w.set.Experiment.Policy) {
			return ran
		}
		return could
	}
	f := &out.NoHarm
	switch f.Verdict {
	case VerdictBetter:
		f.Sentence = fmt.Sprintf("Personalising %s more than showing everybody %s: %s.", would("earns", "would earn"), best, r.between(f))
	case VerdictWorse:
		f.Sentence = fmt.Sprintf("Personalising %s harm: it %s less than showing everybody %s: %s.", would("does", "would do"), would("earns", "would earn"), best, r.between(f))
	case VerdictUnclear:
		f.Sentence = fmt.Sprintf("Whether personalising %s more than showing everybody %s cannot be said yet: %s.", would("earns", "would earn"), best, r.between(f))
	default:
		f.Sentence = fmt.Sprintf("Whether personalising %s harm cannot be said: %s.", would("does", "would do"), f.why)
	}
	for t := juncture.TierMoment; t <= juncture.TierFull; t++ {
		s := Step{Tier: t.String(), Finding: r.finding(int(t), r.Policies[tiers+int(t)-1].Estimate)}
		layer := juncture.Layer(int(t) - 1).String()
		switch s.Verdict {
		case VerdictBetter:
			s.Sentence = fmt.Sprintf("The layer %s earns its place: %s.", layer, r.between(&s.Finding))
		case VerdictWorse:
			s.Sentence = fmt.Sprintf("The layer %s costs more than it brings so far: %s.", layer, r.between(&s.Finding))
		case VerdictUnclear:
			s.Sentence = fmt.Sprintf("The layer %s has not shown that it adds anything: %s.", layer, r.between(&s.Finding))
		default:
			s.Sentence = fmt.Sprintf("What the layer %s adds cannot be said: %s.", layer, s.why)
		}
		out.Tiers = append(out.Tiers, s)
	}
	return out
}

func (r *Report) finding(comparison int, against offpolicy.Estimate) Finding {
	e := r.Differences[comparison].Estimate
	f := Finding{Verdict: VerdictUnclear, Estimate: e}
	least := leastHits
	if r.Unit == UnitMoney {
		least = leastOrders
	}
	switch {
	case e.Refused != "":
		f.Verdict, f.why = VerdictUnknown, e.Refused
	case e.Hits < least:
		f.Verdict, f.why = VerdictUnknown, fmt.Sprintf("only %d decisions with an outcome tell the two apart, of the %d that it takes", e.Hits, least)
	case e.Anytime.Low > 0:
		f.Verdict = VerdictBetter
	case e.Anytime.High < 0:
		f.Verdict = VerdictWorse
	}
	if against.Refused == "" && against.DR.Low > 0 && e.Refused == "" {
		f.Share = e.DR.Value / against.DR.Value
	}
	return f
}

// between words a difference: "+1.20 of 1,000 decisions, from +0.30 to +2.10 (+8%)".
func (r *Report) between(f *Finding) string {
	e := &f.Estimate
	what := " successes of 1,000 decisions"
	if r.Unit != UnitRate {
		what = " of 1,000 decisions"
	}
	s := fmt.Sprintf("%s%s, from %s to %s at 95%%, whenever one looks", r.Signed(e.DR.Value), what, r.Signed(e.Anytime.Low), r.Signed(e.Anytime.High))
	if f.Share != 0 {
		s += " (" + strings.Replace(fmt.Sprintf("%+.1f%%", 100*f.Share), "-", "−", 1) + ")"
	}
	return s
}

// Write prints the sentences and the table.
func (w *Worth) Write(out io.Writer) error {
	lines := []string{w.NoHarm.Sentence}
	for _, t := range w.Tiers {
		lines = append(lines, t.Sentence)
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(out, l); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	return w.Report.Write(out)
}
