package evaluate

import (
	"math"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments/offpolicy"
	"github.com/juncture/juncture/policy/lattice"
)

// Settings of a walk. Experiment and what it names are needed; other zero fields mean the defaults.
type Settings struct {
	Experiment juncture.Experiment
	Ended      []juncture.GroupShares                           // that it had in earlier phases (Declaration.Phases)
	Outcomes   []juncture.OutcomeType                           // at least those of the goal
	Currency   string                                           // of the store
	Arm        func(juncture.ArmID) (arm juncture.Arm, ok bool) // names an arm of the log
	From, To   time.Time                                        // whose decisions are scored; earlier ones are learnt from; zero: no bound
	AsOf       time.Time                                        // a decision whose reward window is open then is not scored; zero: none is left out

	Estimator     offpolicy.Settings
	Growth        float64 // share by which evidence grows between two fits; 0: 0.1
	Intersections int     // told apart, by ceiling; 0: 100,000

	// Scored sees the probabilities of every target at each decision that it scores; valid until it returns. For tests.
	Scored func(d *juncture.Settled, target int, p []float64)
}

// Comparison asks what target A earns more than target B, by their numbers.
type Comparison struct{ A, B int }

// Left counts the decisions that were not scored, by why.
type Left struct {
	Ignored   int `json:"ignored"`   // previews, denied consent, bots: no trials
	Unseen    int `json:"unseen"`    // deferred and never activated
	Replaced  int `json:"replaced"`  // the page showed another arm
	Unranked  int `json:"unranked"`  // of bau and holdout, which draw from no eligible arms
	Open      int `json:"open"`      // their reward window was not over
	OutOfTime int `json:"outOfTime"` // before From, or not before To
}

// Walk values targets over a log, one decision at a time. Its memory is the evidence of the ceilings asked for, the
// outcomes of one reward window, and the sums of the estimators.
type Walk struct {
	set         Settings
	targets     []Target
	comparisons []Comparison
	parts       []juncture.GoalPart
	types       []juncture.OutcomeType // parallel to parts
	shares      []juncture.GroupShares // now, and in earlier phases

	schools []*school
	of      []*school // of each target
	full    *school
	pending pending
	arms    map[juncture.ArmID]juncture.Arm
	cast    []lattice.Arm
	traffic map[juncture.Intersection]float64
	ranked  []juncture.ArmID // single arms, the best first
	best    juncture.ArmID   // that was shown last as such
	trials  int64
	fitted  int64 // of trials
	stale   bool  // an arm is new
	fits    int
	now     time.Time
	space   lattice.Workspace

	read, scored int
	left         Left
	undefined    []int // by target
	first, last  time.Time
	estimators   []sides                 // of the targets
	differences  []sides                 // of the comparisons
	groups       [2]*offpolicy.Estimator // what policy and random earned
	p            [][]float64             // by target; of the decision under way
	defined      []bool
}

// sides are the estimators of one question: over both groups, and over the random group alone, where a single arm has 1/K
// of the rows whatever the policy leaves it.
type sides struct{ both, random *offpolicy.Estimator }

func newSides(set offpolicy.Settings) sides { return sides{offpolicy.New(set), offpolicy.New(set)} }

// add adds a decision's term for a policy, less what another would have been given; nil: no other.
func (e sides) add(s *juncture.Settled, d *scene, p, less []float64) error {
	if err := e.both.Add(d.row(s.Shopper, p, less, d.drawn)); err != nil || s.Group != juncture.GroupRandom {
		return err
	}
	return e.random.Add(d.row(s.Shopper, p, less, 1/float64(len(d.arms))))
}

// New returns a walk. The error is CodeInvalidRequest where the goal names an outcome that is not declared.
func New(set Settings, targets []Target, comparisons []Comparison) (*Walk, error) {
	if set.Growth <= 0 {
		set.Growth = 0.1
	}
	if set.Intersections <= 0 {
		set.Intersections = 100_000
	}
	w := &Walk{set: set, targets: targets, comparisons: comparisons, parts: set.Experiment.Goal.Parts(), shares: append([]juncture.GroupShares{set.Experiment.Groups}, set.Ended...), stale: true,
		arms: map[juncture.ArmID]juncture.Arm{}, traffic: map[juncture.Intersection]float64{}, undefined: make([]int, len(targets)),
		p: make([][]float64, len(targets)), defined: make([]bool, len(targets))}
	for _, p := range w.parts {
		i := slices.IndexFunc(set.Outcomes, func(o juncture.OutcomeType) bool { return o.Name == p.Outcome })
		if i < 0 {
			return nil, juncture.Errorf(juncture.CodeInvalidRequest, "the goal's outcome %q is not declared", p.Outcome)
		}
		w.types = append(w.types, set.Outcomes[i])
	}
	school := func(ceiling juncture.Tier) *school {
		for _, s := range w.schools {
			if s.ceiling == ceiling {
				return s
			}
		}
		s := newSchool(ceiling, len(w.parts))
		w.schools = append(w.schools, s)
		return s
	}
	w.full = school(juncture.TierFull)
	for _, t := range targets {
		w.of = append(w.of, school(t.ceiling))
		w.estimators = append(w.estimators, newSides(set.Estimator))
	}
	difference := set.Estimator
	difference.Difference = true
	for range comparisons {
		w.differences = append(w.differences, newSides(difference))
	}
	for i := range w.groups {
		w.groups[i] = offpolicy.New(set.Estimator)
	}
	return w, nil
}

// Add walks to the next decision: those of one experiment come in the order of their serials.
//
// Errors: CodeUnprocessable where the log does not say what is needed: a probability or an arm is missing, or the group
// shares are others than the experiment declares.
func (w *Walk) Add(s *juncture.Settled) error {
	w.read++
	if s.At.After(w.now) {
		w.now = s.At
	}
	for _, r := range s.Ranking {
		if err := w.meet(r.Arm); err != nil {
			return err
		}
	}
	base := s.Settlement(juncture.OutcomeType{}, w.set.Currency)
	if base.Active() && base.Arm() != 0 {
		if err := w.meet(base.Arm()); err != nil {
			return err
		}
	}
	if err := w.learn(w.now); err != nil {
		return err
	}
	if w.counts(s) {
		if err := w.score(s); err != nil {
			return err
		}
	}
	w.await(s)
	return nil
}

// meet knows an arm from its first sight.
func (w *Walk) meet(id juncture.ArmID) error {
	if _, ok := w.arms[id]; ok {
		return nil
	}
	arm, ok := w.set.Arm(id)
	if !ok {
		return juncture.Errorf(juncture.CodeUnprocessable, "the log names arm %d, which the store does not know", id)
	}
	w.arms[id] = arm
	w.cast = append(w.cast, lattice.Arm{ID: id, Arm: arm})
	slices.SortFunc(w.cast, func(a, b lattice.Arm) int { return int(int64(a.ID) - int64(b.ID)) })
	w.stale = true
	return nil
}

// counts reports whether a decision is scored, and counts why not. Only trials are (statistics A.5, A.6).
func (w *Walk) counts(s *juncture.Settled) bool {
	base := s.Settlement(juncture.OutcomeType{}, w.set.Currency)
	switch {
	case s.Ignored || s.Removed:
		w.left.Ignored++
	case !base.Active():
		w.left.Unseen++
	case s.Group != juncture.GroupPolicy && s.Group != juncture.GroupRandom || len(s.Ranking) == 0 || s.Defaulted():
		w.left.Unranked++
	case base.Arm() != s.Arm:
		w.left.Replaced++
	case s.At.Before(w.set.From) || !w.set.To.IsZero() && !s.At.Before(w.set.To):
		w.visit(s.Intersection)
		w.left.OutOfTime++
	case w.open(s):
		w.visit(s.Intersection)
		w.left.Open++
	default:
		return true
	}
	return false
}

// visit counts a decision at an intersection, of those that are told apart.
func (w *Walk) visit(x juncture.Intersection) {
	if _, ok := w.traffic[x]; !ok && len(w.traffic) >= w.set.Intersections {
		x = x.Ceiling(juncture.TierMoment)
	}
	w.traffic[x]++
}

// open reports whether an outcome of the goal may still come.
func (w *Walk) open(s *juncture.Settled) bool {
	for _, t := range w.types {
		if !w.set.AsOf.IsZero() && s.Settlement(t, w.set.Currency).Until().After(w.set.AsOf) {
			return true
		}
	}
	return false
}

// reward is what a decision earned for the goal: successes, major units of money, or points.
func (w *Walk) reward(s *juncture.Settled) float64 {
	sum := 0.0
	for i, p := range w.parts {
		t := w.types[i].Aggregate(s.Of(p.Outcome), w.set.Currency)
		if lattice.SettingsOf(&w.set.Experiment, w.types[i]).Value {
			sum += p.Weight * float64(t.Value) / math.Pow10(juncture.MinorDigits(w.set.Currency))
		} else {
			sum += p.Weight * float64(t.Successes)
		}
	}
	return sum
}

// see makes a scene of a decision: the probability of its arm over the groups, so that the weights of both groups are of
// one sampling (Agarwal, Basu, Schnabel and Joachims, KDD 2017: the balanced estimator).
func (w *Walk) see(s *juncture.Settled) (*scene, error) {
	d := &scene{at: s.Intersection, served: -1, policy: s.Policy, reward: w.reward(s)}
	own := make([]float64, len(s.Ranking))
	for i, r := range s.Ranking {
		d.arms = append(d.arms, r.Arm)
		own[i] = r.Probability
		if r.Arm == s.Arm {
			d.served = i
		}
	}
	if s.Group == juncture.GroupPolicy {
		d.policy = own
	}
	phase := slices.IndexFunc(w.shares, func(g juncture.GroupShares) bool { return math.Abs(s.Share-g.Share(s.Group)) <= 1e-9 })
	switch {
	case d.served < 0:
		return nil, juncture.Errorf(juncture.CodeUnprocessable, "decision %d shows arm %d, which was not eligible", s.Serial, s.Arm)
	case phase < 0:
		return nil, juncture.Errorf(juncture.CodeUnprocessable, "decision %d is of the group %s with a share of %g, where the experiment declares %g",
			s.Serial, s.Group, s.Share, w.shares[0].Share(s.Group)).WithHint("is it the experiment that the log is of?")
	case len(d.policy) != len(d.arms):
		return nil, juncture.Errorf(juncture.CodeUnprocessable, "decision %d of the random group does not say what the policy would have drawn", s.Serial).
			WithHint("it was logged by an older version: evaluate from a later date")
	}
	shares := w.shares[phase]
	d.drawn = (shares.Policy*d.policy[d.served] + shares.Random/float64(len(d.arms))) / (shares.Policy + shares.Random)
	if !(d.drawn > 0 && d.drawn <= 1+1e-9) {
		return nil, juncture.Errorf(juncture.CodeUnprocessable, "decision %d showed an arm of probability %g", s.Serial, d.drawn)
	}
	return d, nil
}

func (w *Walk) score(s *juncture.Settled) error {
	d, err := w.see(s)
	if err != nil {
		return err
	}
	if d.model, err = w.full.mean(w, d.at, d.arms); err != nil {
		return err
	}
	for i, t := range w.targets {
		w.p[i] = append(w.p[i][:0], make([]float64, len(d.arms))...)
		if w.defined[i], err = t.choose(w, w.of[i], d, w.p[i]); err != nil {
			return err
		}
		if !w.defined[i] {
			w.undefined[i]++
			continue
		}
		if w.set.Scored != nil {
			w.set.Scored(s, i, w.p[i])
		}
		if err := w.estimators[i].add(s, d, w.p[i], nil); err != nil {
			return err
		}
	}
	for i, c := range w.comparisons {
		if w.defined[c.A] && w.defined[c.B] {
			if err := w.differences[i].add(s, d, w.p[c.A], w.p[c.B]); err != nil {
				return err
			}
		}
	}
	g := 0
	if s.Group == juncture.GroupRandom {
		g = 1
	}
	if err := w.groups[g].Add(offpolicy.Row{Cluster: s.Shopper, Weight: 1, Reward: d.reward}); err != nil {
		return err
	}
	w.visit(d.at)
	if w.scored++; w.first.IsZero() {
		w.first = s.At
	}
	w.last = w.now
	return nil
}

// row is the decision as a target sees it, less what another would have been given, where the arm that was shown was drawn
// with a probability.
func (d *scene) row(shopper string, p, less []float64, drawn float64) offpolicy.Row {
	r := offpolicy.Row{Cluster: shopper, Reward: d.reward, Served: d.model[d.served]}
	for i := range p {
		v := p[i]
		if less != nil {
			v -= less[i]
		}
		r.Direct += v * d.model[i]
		if i == d.served {
			r.Weight = v / drawn
		}
	}
	return r
}
