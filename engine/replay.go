package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/policy/lattice"
	"github.com/juncture/juncture/pool"
)

// ReplayStore reads what decisions were made of.
type ReplayStore interface {
	Logged(ctx context.Context, serial uint64) (*juncture.Settled, error)
	Terms(ctx context.Context, hash string) (*juncture.DrawTerms, error)
	Fit(ctx context.Context, version string) (*juncture.Fit, error)
	DeltasUpTo(ctx context.Context, marks []juncture.Mark, f func(deltas []juncture.Delta) error) (whole bool, err error)
	PlacesOf(ctx context.Context, shopper string) ([]juncture.Enrolment, error)
}

// Replayer makes decisions again from the log alone: no memory of the engine that made them is asked. It is safe for
// concurrent use; one replay fits at a time, and the beliefs of the last few are kept.
type Replayer struct {
	store   ReplayStore
	names   func(ctx context.Context) (map[juncture.ArmID]juncture.Arm, error)
	secrets func(ctx context.Context) (Secrets, error)

	mu   sync.Mutex
	last []*refitted // the latest first
}

// refitsKept is how many beliefs a Replayer keeps: those of one page and of the one before.
const refitsKept = 2

// NewReplayer makes a Replayer. names gives every arm that was ever written.
func NewReplayer(store ReplayStore, names func(ctx context.Context) (map[juncture.ArmID]juncture.Arm, error), secrets func(ctx context.Context) (Secrets, error)) *Replayer {
	return &Replayer{store: store, names: names, secrets: secrets}
}

// refitted is evidence as it was, and what was believed by it.
type refitted struct {
	key      string
	learning *learning
	belief   belief // nil: the policy fits nothing
	commits  int64
}

// replayed is a replay under way.
type replayed struct {
	d     *juncture.Settled
	terms *juncture.DrawTerms
	names map[juncture.ArmID]juncture.Arm
	salts Secrets
	v     *juncture.ReplayView
}

// Replay makes a decision again: the shopper's group, the probabilities, and the arm. The error is CodeDecisionNotFound
// for no such decision; what cannot be made again is told in the parts.
func (r *Replayer) Replay(ctx context.Context, serial uint64) (*juncture.ReplayView, error) {
	d, err := r.store.Logged(ctx, serial)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if d == nil {
		return nil, juncture.Errorf(juncture.CodeDecisionNotFound, "no decision has the serial %d", serial)
	}
	p := &replayed{d: d, v: &juncture.ReplayView{Serial: juncture.SerialText(serial), Arms: []juncture.ReplayArm{}}}
	if p.names, err = r.names(ctx); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if p.salts, err = r.secrets(ctx); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	for _, k := range d.Ranking {
		p.v.Arms = append(p.v.Arms, juncture.ReplayArm{Arm: p.names[k.Arm], ID: k.Arm, Logged: k.Probability, Effects: []juncture.EffectView{}})
	}
	if d.Terms != "" {
		if p.terms, err = r.store.Terms(ctx, d.Terms); err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		if p.terms != nil && p.terms.Hash() != d.Terms {
			p.say("terms", juncture.VerdictDiffers, "What is kept under %s is not what it names: the row was changed.", d.Terms)
		}
	}
	if err := r.group(ctx, p); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	probabilities, err := r.probabilities(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	p.pick(probabilities)
	p.conclude()
	return p.v, nil
}

func (p *replayed) say(part string, verdict juncture.Verdict, format string, args ...any) {
	p.v.Parts = append(p.v.Parts, juncture.ReplayPart{Part: part, Verdict: verdict, Why: fmt.Sprintf(format, args...)})
}

const noTerms = "It was decided before Juncture kept what a decision is made by, or that row is gone."

// group checks that the shopper's enrolment gives the group, and that the hash gives the enrolment.
func (r *Replayer) group(ctx context.Context, p *replayed) error {
	const part = "group"
	d := p.d
	switch {
	case d.Experiment == "":
		p.say(part, juncture.VerdictNone, "No experiment decided: %s.", why(d))
		return nil
	case d.Ignored && d.Group == juncture.GroupNone:
		p.say(part, juncture.VerdictNone, "Nobody's trial: who is not logged is enrolled nowhere.")
		return nil
	case erased(d.Shopper):
		p.say(part, juncture.VerdictUnknown, "The shopper was erased: the id that was hashed is gone.")
		return nil
	case p.terms == nil:
		p.say(part, juncture.VerdictUnknown, noTerms)
		return nil
	}
	places, err := r.store.PlacesOf(ctx, d.Shopper)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(places, func(e juncture.Enrolment) bool {
		return e.Experiment == d.Experiment && e.Serial <= d.Serial && (e.Group == d.Group || d.Group == juncture.GroupShadow && shadowed(e.Group))
	})
	if i < 0 {
		p.say(part, juncture.VerdictDiffers, "No enrolment of the shopper gives the group %s.", d.Group)
		return nil
	}
	if own := slices.IndexFunc(places, func(e juncture.Enrolment) bool { return e.Experiment == d.Experiment && e.Serial == d.Serial }); own >= 0 {
		i = own
	}
	e, terms, shopper := places[i], p.terms, d.Shopper
	if d.Share != e.Share || d.Group != e.Group && d.Group != juncture.GroupShadow {
		p.say(part, juncture.VerdictDiffers, "The enrolment says %s with a share of %v, the log %s with %v.", e.Group, e.Share, d.Group, d.Share)
		return nil
	}
	if e.Serial != d.Serial { // the hash was asked by the decision that enrolled
		first, err := r.store.Logged(ctx, e.Serial)
		if err != nil {
			return err
		}
		if first == nil || first.Terms == "" || erased(first.Shopper) {
			p.say(part, juncture.VerdictUnknown, "The shopper was enrolled in %s by decision %d, and what that was made by is gone.", e.Group, e.Serial)
			return nil
		}
		shopper = first.Shopper
		if terms, err = r.store.Terms(ctx, first.Terms); err != nil {
			return err
		}
		if terms == nil {
			p.say(part, juncture.VerdictUnknown, noTerms)
			return nil
		}
	}
	group, share := assigned(p.salts.GroupSalt, terms, d.Experiment, e.Shadow, shopper)
	switch {
	case group != e.Group || share != e.Share:
		p.say(part, juncture.VerdictDiffers, "The hash gives %s with a share of %v; the enrolment says %s with %v.", name(group), share, e.Group, e.Share)
	case e.Serial == d.Serial:
		p.say(part, juncture.VerdictMatch, "The hash of the shopper gives %s, as this decision enrolled.", d.Group)
	default:
		p.say(part, juncture.VerdictMatch, "Enrolled in %s by decision %d, as the hash of the shopper gives; kept since.", e.Group, e.Serial)
	}
	return nil
}

// assigned is the group that the hash gives in an experiment, or in a holdout above it.
func assigned(salt []byte, t *juncture.DrawTerms, experiment string, shadow bool, shopper string) (juncture.Group, float64) {
	x := &t.Experiment
	if experiment != x.ID {
		for _, h := range t.Holdouts {
			if h.ID == experiment {
				return experiments.Withheld(salt, h, shopper)
			}
		}
		return juncture.GroupNone, 0
	}
	group, share, _ := experiments.Assign(salt, *x, shopper)
	if shadow && shadowed(group) {
		return juncture.GroupShadow, x.Groups.Policy + x.Groups.Random
	}
	return group, share
}

// erased reports whether an id stands for a shopper who was erased (Engine.Erase).
func erased(shopper string) bool {
	rest, ok := strings.CutPrefix(shopper, erasedPrefix)
	return ok && len(rest) == 2*erasedBytes && strings.Trim(rest, "0123456789abcdef") == ""
}

func name(g juncture.Group) string {
	if g == juncture.GroupNone {
		return "no group"
	}
	return g.String()
}

// why is a decision's reason in words.
func why(d *juncture.Settled) string {
	s := strings.ToLower(string(d.Reason))
	if d.Detail != "" {
		s += ", " + strings.ToLower(string(d.Detail))
	}
	return s
}

// probabilities makes those of the draw again. They are nil where nothing was drawn, or where they cannot be made.
func (r *Replayer) probabilities(ctx context.Context, p *replayed) ([]float64, error) {
	const part = "probabilities"
	d := p.d
	if d.Version == "" {
		switch {
		case d.Group == juncture.GroupHoldout:
			p.say(part, juncture.VerdictNone, "The holdout gets nothing: there is no draw.")
		case d.Group == juncture.GroupBAU:
			p.say(part, juncture.VerdictNone, "Business as usual gets the surface's default: there is no draw.")
		default:
			p.say(part, juncture.VerdictNone, "There was no draw: %s.", why(d))
		}
		return nil, nil
	}
	if p.terms == nil {
		p.say(part, juncture.VerdictUnknown, noTerms)
		return nil, nil
	}
	fit, err := r.store.Fit(ctx, d.Version)
	if err != nil {
		return nil, err
	}
	if fit == nil {
		p.say(part, juncture.VerdictUnknown, "It is not kept which evidence policy version %s names.", d.Version)
		return nil, nil
	}
	p.v.Fit = fit.View()
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := r.refit(ctx, p, fit)
	if juncture.ErrorCode(err) == juncture.CodeInternal {
		p.say(part, juncture.VerdictDiffers, "The evidence up to policy version %s cannot be read or fitted: %v.", d.Version, err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if f == nil {
		p.say(part, juncture.VerdictUnknown, "The ledger's deltas no longer reach back to the first one, so that the evidence of policy version %s cannot be added up.", d.Version)
		return nil, nil
	}
	p.v.Evidence = juncture.ReplayEvidence{Commits: f.commits, Trials: f.learning.main().Trials()}
	v := p.vector(f)
	drawn, logged := v.p, make([]float64, len(d.Ranking))
	for i, k := range d.Ranking {
		logged[i] = k.Probability
	}
	if d.Policy != nil { // the random group drew
		drawn = make([]float64, len(v.p))
		for i := range drawn {
			drawn[i] = 1 / float64(len(drawn))
		}
		for i := range v.p {
			p.v.Arms[i].Policy = &d.Policy[i]
		}
	}
	off := 0
	for i := range drawn {
		p.v.Arms[i].Recomputed = &drawn[i]
		p.v.Arms[i].Own, p.v.Arms[i].Borrowed = v.own[i], v.borrow[i]
		if f.belief != nil {
			e, err := f.belief.Explain(d.Intersection, v.arms[i])
			if err != nil {
				return nil, err
			}
			p.v.Arms[i].Sentence = e.Sentence
			for _, x := range e.Effects {
				p.v.Arms[i].Effects = append(p.v.Arms[i].Effects, juncture.EffectView(x))
			}
		}
		if !same(drawn[i], logged[i]) || d.Policy != nil && !same(v.p[i], d.Policy[i]) {
			off++
		}
	}
	how := fmt.Sprintf("added up from %d commits with %d trials", f.commits, f.learning.main().Trials())
	if f.belief != nil {
		how += ", fitted as of " + fit.AsOf.Format("2 Jan 2006 15:04 UTC")
	}
	if off > 0 {
		p.say(part, juncture.VerdictDiffers, "%d of %d probabilities are others: %s.", off, len(drawn), how)
	} else {
		p.say(part, juncture.VerdictMatch, "All %d probabilities are the same to the last digit: %s.", len(drawn), how)
	}
	return drawn, nil
}

// same reports whether two numbers are the same to the last bit.
func same(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// refit adds the evidence up and fits it, or takes it from the last few; nil where the log does not reach back. The
// caller holds mu.
func (r *Replayer) refit(ctx context.Context, p *replayed, fit *juncture.Fit) (*refitted, error) {
	key := p.d.Terms + " " + fit.Version + " " + marksText(fit.Marks)
	if i := slices.IndexFunc(r.last, func(f *refitted) bool { return f.key == key }); i >= 0 {
		return r.last[i], nil
	}
	x := &p.terms.Experiment
	f := &refitted{key: key, learning: newLearning(x.Goal, Intersections)}
	whole, err := r.store.DeltasUpTo(ctx, fit.Marks, func(deltas []juncture.Delta) error {
		f.commits++
		for _, d := range deltas {
			if d.Experiment == fit.Experiment {
				f.learning.add(d.Intersection, juncture.CellRow{Arm: d.Arm, Group: d.Group, Event: d.Event, Delay: d.Delay, Bucket: d.Bucket, Tally: d.Tally})
			}
		}
		return nil
	})
	if err != nil || !whole {
		return nil, err
	}
	if juncture.Pooled(x.Policy) {
		var cast []lattice.Arm
		for _, id := range p.terms.Cast {
			cast = append(cast, lattice.Arm{ID: id, Arm: p.names[id]})
		}
		if f.belief, err = fitGoal(p.terms.Outcomes, x, cast, f.learning.views(), fit.AsOf, fit.Version); err != nil {
			return nil, err
		}
	}
	r.last = append([]*refitted{f}, r.last[:min(len(r.last), refitsKept-1)]...)
	return f, nil
}

// vector is Engine.vector over the evidence as it was.
func (p *replayed) vector(f *refitted) *vector {
	d, x := p.d, &p.terms.Experiment
	n := len(d.Ranking)
	v := &vector{nudged: nudges(x, d.At), p: make([]float64, n), own: make([]float64, n), borrow: make([]float64, n)}
	arms, competing := make([]*pool.Arm, n), make([]policy.Arm, n)
	for i, k := range d.Ranking {
		arms[i] = &pool.Arm{ID: k.Arm, Arm: p.names[k.Arm]}
		v.arms = append(v.arms, k.Arm)
		competing[i] = policy.Arm{ID: k.Arm, Action: arms[i].Arm.Action}
	}
	byAction := map[string]float64{}
	for _, a := range competing {
		byAction[a.Action] += float64(f.learning.main().Counts(d.Intersection, a.ID).Trials)
	}
	for i, a := range competing {
		v.own[i] = byAction[a.Action]
	}
	var err error
	if f.belief != nil {
		if err = f.belief.Vector(d.Intersection, v.arms, new(lattice.Workspace), v.p); err == nil {
			err = f.belief.Borrowed(d.Intersection, v.arms, v.borrow)
		}
	} else {
		var of policy.Policy
		if of, err = policyOf(x, p.terms.Shares); err == nil {
			s := f.learning.situation(x, p.terms.Outcomes[0], d.Intersection, competing)
			err = of.Weights(&s, v.p)
		}
	}
	v.settle(x, arms, err)
	return v
}

// pick draws the arm again with the number that belongs to the serial.
func (p *replayed) pick(probabilities []float64) {
	const part = "pick"
	d := p.d
	if d.Version == "" {
		p.certain(part)
		return
	}
	u := uniformOf(p.salts.PickSalt, d.Serial)
	p.v.Uniform = &u
	whose := "recomputed"
	if probabilities == nil {
		whose = "logged"
		for _, k := range d.Ranking {
			probabilities = append(probabilities, k.Probability)
		}
	}
	i := policy.Pick(probabilities, u)
	drawn, shadow := d.Arm, d.Shadow != 0
	if p.terms != nil {
		shadow = p.terms.Experiment.Shadow
	}
	if shadow {
		drawn = d.Shadow
	}
	switch {
	case i < 0:
		p.say(part, juncture.VerdictDiffers, "No arm has a probability.")
	case d.Ranking[i].Arm != drawn:
		p.say(part, juncture.VerdictDiffers, "HMAC of the serial gives %.17g, which picks %s by the %s probabilities; the log says %s.", u, p.names[d.Ranking[i].Arm], whose, p.names[drawn])
	case !shadow && !same(d.Probability, probabilities[i]) || shadow && d.Probability != 1:
		p.say(part, juncture.VerdictDiffers, "The arm is the same; its probability is %.17g, the log says %.17g.", probabilities[i], d.Probability)
	case shadow && p.terms != nil && d.Arm != p.terms.DefaultAt(p.d.At):
		p.say(part, juncture.VerdictDiffers, "Drawn in shadow as logged, but what was served is not the surface's default.")
	default:
		p.say(part, juncture.VerdictMatch, "HMAC of the serial gives %.17g, which picks %s by the %s probabilities.", u, p.names[drawn], whose)
	}
}

// certain checks what was served without a draw.
func (p *replayed) certain(part string) {
	d := p.d
	ranked := juncture.ArmID(0)
	if len(d.Ranking) == 1 && d.Ranking[0].Probability == 1 {
		ranked = d.Ranking[0].Arm
	}
	switch {
	case len(d.Ranking) > 1 || len(d.Ranking) == 1 && ranked == 0 || d.Probability != 1:
		p.say(part, juncture.VerdictDiffers, "Without a draw one arm at most stands in the log, with probability 1.")
	case d.Defaulted() || d.Detail == juncture.DetailBreaker:
		p.served(part, ranked, "The breaker had tripped")
	case d.Arm != ranked:
		p.say(part, juncture.VerdictDiffers, "The log says %s was served and ranks %s.", p.names[d.Arm], p.names[ranked])
	case d.Group == juncture.GroupHoldout:
		p.say(part, juncture.VerdictMatch, "Nothing is served to the holdout.")
	case d.Group == juncture.GroupBAU:
		p.served(part, d.Arm, "Business as usual")
	default:
		p.say(part, juncture.VerdictNone, "Served without a draw: %s.", why(d))
	}
}

// served checks that the surface's default was.
func (p *replayed) served(part string, arm juncture.ArmID, because string) {
	switch {
	case p.terms == nil:
		p.say(part, juncture.VerdictUnknown, noTerms)
	case arm != p.terms.DefaultAt(p.d.At):
		p.say(part, juncture.VerdictDiffers, "%s: the surface's default was %s, the log says %s.", because, p.names[p.terms.DefaultAt(p.d.At)], p.names[arm])
	default:
		p.say(part, juncture.VerdictMatch, "%s: the surface's default, %s.", because, p.names[arm])
	}
}

// conclude makes one verdict of the parts, and says it.
func (p *replayed) conclude() {
	v := p.v
	has := func(of juncture.Verdict) bool {
		return slices.ContainsFunc(v.Parts, func(x juncture.ReplayPart) bool { return x.Verdict == of })
	}
	switch {
	case has(juncture.VerdictDiffers):
		v.Verdict, v.Sentence = juncture.VerdictDiffers, "The log does not give this decision: something in it was changed, or another build computes otherwise."
	case has(juncture.VerdictUnknown):
		v.Verdict, v.Sentence = juncture.VerdictUnknown, "Part of what this decision was made of is no longer there; what is there agrees."
	case has(juncture.VerdictMatch):
		v.Verdict, v.Sentence = juncture.VerdictMatch, "Made again from the log, this decision is the same to the last digit."
	default:
		v.Verdict, v.Sentence = juncture.VerdictNone, "Nothing was drawn: there is nothing to make again."
	}
}
