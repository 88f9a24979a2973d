package lattice

import (
	"math"
	"slices"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
)

// belief is the Beta view of one arm, or of an action over its copies, at an intersection (B.6).
type belief struct {
	eta       float64 // log-odds from all effects above the intersection, this cell's own counts taken out
	arm, base float64 // its variance: of what is the arm's (key families included), and of what all arms share
	n, s      float64 // own counts, decayed and matured
}

// prior returns n0 pseudo-trials for a variance on the log-odds: 1/(m(1−m)·s0²) − 1 within [1, 1e5].
func prior(m, variance float64) float64 {
	return min(max(1/(m*(1-m)*variance)-1, 1), 1e5)
}

func (b belief) beta(variance float64) (policy.Beta, float64) {
	m := min(max(logistic(b.eta), 1e-9), 1-1e-9)
	n0 := prior(m, variance)
	return policy.Beta{Alpha: max(policy.MinShape, m*n0+b.s), Beta: max(policy.MinShape, (1-m)*n0+b.n-b.s)}, n0
}

// believe gathers the belief of arms (positions in the cast) of one action, mixed by weights that sum to 1.
func (s *Snapshot) believe(sp *spot, arms []int32, weights []float64) belief {
	b := belief{eta: s.base}
	for _, l := range s.families {
		if l.who != everyone {
			continue
		}
		switch level := sp.level[l.spot]; {
		case l.place.where == wholeKey:
			b.base += l.width * l.width
		case level >= 0:
			b.eta += float64(l.effect[level])
			b.base += float64(l.variance[level])
		default:
			b.base += l.width * l.width
		}
	}
	dense, keys := 0.0, 0.0
	gradient, information := 0.0, 0.0
	for j, k := range arms {
		w := weights[j]
		for _, l := range s.families {
			part := int32(-1)
			if l.who != everyone {
				part = l.part[k]
			}
			if part < 0 {
				continue
			}
			share := w // of a variance: shared by the copies, or each one's own
			if l.who != byAction {
				share = w * w
			}
			if l.sparse {
				keys += share * l.width * l.width
				continue
			}
			if at := l.at(sp, part, -1, -1); at >= 0 {
				b.eta += w * float64(l.effect[at])
				dense += share * float64(l.variance[at])
			} else if !sp.blank(s.places[l.spot]) {
				dense += share * l.width * l.width
			}
		}
		if row, _ := s.row(sp.key, k); row >= 0 && len(s.rows.odds) > 0 { // a value's own orders are too few to matter
			n, y, odds := float64(s.rows.n[row]), float64(s.rows.s[row]), float64(s.rows.odds[row])
			q := 1 / (1 + odds)
			np := n * odds * q
			b.n, b.s = b.n+n, b.s+y
			gradient += y - np
			information += np * q
		}
	}
	// Leaving a cell out of a Gaussian fit moves its mean by −V·g/(1−h) and its variance to V/(1−h), h = V·I its leverage;
	// the cell's information reaches the effects above it through its own, of variance keys.
	h := min(dense*information/(1+keys*information), 0.9)
	b.eta -= min(max(dense*gradient/(1-h), -maxStep), maxStep)
	b.arm = dense/(1-h) + keys
	return b
}

// blank reports whether the intersection says nothing at a place: there is no effect to be unsure of.
func (sp *spot) blank(p *place) bool { return sp.key >= 0 && p.level != nil && p.level[sp.key] < 0 }

// overview is several intersections taken as one place: spots with their shares of its traffic.
type overview struct {
	spots []spot
	share []float64 // sum to 1
}

// spread is the shares of the effects of a family over a place; adding allocates nothing, and effects are gone through in
// the order in which they came, so that the same place gives the same sum to the bit.
type spread struct {
	share []float64 // of each effect, 0 outside of
	of    []int32
}

func (m *spread) open(effects int) {
	for _, at := range m.of {
		m.share[at] = 0
	}
	m.of = m.of[:0]
	if len(m.share) < effects {
		m.share = make([]float64, effects)
	}
}

// add takes shares above 0.
func (m *spread) add(at int32, share float64) {
	if m.share[at] == 0 {
		m.of = append(m.of, at)
	}
	m.share[at] += share
}

// average gathers the belief of arms of one action over a place: its score there is the mean of its scores at the
// intersections, a sum of effects each with the share of traffic that has it, and so is the variance, with the shares
// squared. What was seen at the intersections is in the effects: nothing is left out, and nothing is own.
func (s *Snapshot) average(o *overview, arms []int32, weights []float64) belief {
	b := belief{eta: s.base}
	m, _ := s.spreads.Get().(*spread)
	if m == nil {
		m = &spread{}
	}
	defer s.spreads.Put(m)
	sum := func(l *learnt, k int32, w, mix float64, base bool) {
		m.open(len(l.effect))
		unseen := 0.0 // share of the traffic that has no effect of the family: its own would be the prior's
		for i := range o.spots {
			sp := &o.spots[i]
			row, group := int32(-1), int32(-1)
			if l.sparse && k >= 0 {
				row, group = s.row(sp.key, k)
			}
			p := int32(0)
			if !base {
				p = l.part[k]
			}
			switch at := l.at(sp, p, row, group); {
			case at >= 0:
				m.add(at, o.share[i])
			case !sp.blank(s.places[l.spot]):
				unseen += o.share[i] * o.share[i]
			}
		}
		v := unseen * l.width * l.width
		for _, at := range m.of {
			share := m.share[at]
			b.eta += w * share * float64(l.effect[at])
			v += share * share * float64(l.variance[at])
		}
		if base {
			b.base += v
		} else {
			b.arm += mix * v
		}
	}
	for _, l := range s.families {
		if l.who == everyone {
			if l.place.where != wholeKey || !l.sparse {
				sum(l, -1, 1, 1, true)
			}
			continue
		}
		for j, k := range arms {
			if l.part[k] < 0 {
				continue
			}
			mix := weights[j]
			if l.who != byAction {
				mix *= weights[j]
			}
			sum(l, k, weights[j], mix, false)
		}
	}
	return b
}

// Read returns what is believed at an intersection of the eligible arms, from untempered posteriors (B.6, B.7): the
// counterpart of policy.Read. PBest and Loss leave out the uncertainty of the base, which all arms share; intervals have
// it. For a money goal PBest is that of rate × value, and Loss a share of the best one's value.
func (s *Snapshot) Read(x juncture.Intersection, arms []juncture.ArmID) (policy.ReadOut, error) {
	return s.read(x, arms, func(ws *Workspace) func([]int32, []float64) belief {
		return func(of []int32, share []float64) belief { return s.believe(&ws.spot, of, share) }
	})
}

// ReadOver is Read for several intersections taken as one place, weights their traffic: what is best there on average. A
// weight that is not above 0 leaves its intersection out; the order does not matter.
func (s *Snapshot) ReadOver(xs []juncture.Intersection, weights []float64, arms []juncture.ArmID) (policy.ReadOut, error) {
	o, top, err := s.overview(xs, weights)
	if err != nil {
		return policy.ReadOut{}, err
	}
	if o == nil {
		return s.Read(xs[top], arms)
	}
	return s.read(xs[top], arms, func(*Workspace) func([]int32, []float64) belief {
		return func(of []int32, share []float64) belief { return s.average(o, of, share) }
	})
}

// overview takes intersections as one place, top the one with the most traffic; nil where it has all of it.
func (s *Snapshot) overview(xs []juncture.Intersection, weights []float64) (o *overview, top int, err error) {
	if len(xs) != len(weights) {
		return nil, 0, juncture.Errorf(juncture.CodeInternal, "%d intersections with %d weights", len(xs), len(weights))
	}
	total, top := 0.0, -1
	for i, w := range weights {
		if w > 0 {
			total += w
			if top < 0 || w > weights[top] {
				top = i
			}
		}
	}
	switch {
	case top < 0:
		return nil, 0, juncture.Errorf(juncture.CodeInternal, "a place without traffic")
	case total == weights[top]:
		return nil, top, nil
	}
	o = &overview{}
	for i, w := range weights {
		if w > 0 {
			var sp spot
			s.locate(xs[i], &sp)
			o.spots, o.share = append(o.spots, sp), append(o.share, w/total)
		}
	}
	return o, top, nil
}

// mixture is a belief with the arms that it is about.
type mixture struct {
	belief
	of    []int32
	share []float64
}

// read compares the arms at x, where their copies' shares and values are taken from, by what believe says of each.
func (s *Snapshot) read(x juncture.Intersection, arms []juncture.ArmID, with func(*Workspace) func([]int32, []float64) belief) (policy.ReadOut, error) {
	var ws Workspace
	w := make([]float64, len(arms))
	if err := s.Vector(x, arms, &ws, w); err != nil {
		return policy.ReadOut{}, err
	}
	at := make([]int32, len(arms))
	for i, sc := range ws.scores {
		at[i] = sc.position
	}
	believe := with(&ws)
	score := func(of []int32, share []float64) (policy.Posterior, mixture) {
		m := mixture{believe(of, share), of, share}
		return s.posterior(x, m.belief, of, share), m
	}
	return readOut(s.cast, at, w, score, func(ms []mixture, best *policy.Best) error { return s.compare(x, ms, best) })
}

// readOut compares actions, each the mixture of its copies by their probabilities, and the copies of each. at are the arms'
// positions in the cast, w the probabilities with which they are picked; score says what is believed of arms of one action
// mixed by shares, and what compare compares.
func readOut[T any](c *cast, at []int32, w []float64, score func(of []int32, share []float64) (policy.Posterior, T), compare func([]T, *policy.Best) error) (policy.ReadOut, error) {
	out := policy.ReadOut{Arms: make([]policy.Posterior, len(at))}
	var members [][]int
	index := map[int32]int{}
	for i, k := range at {
		action := c.action[k]
		g, ok := index[action]
		if !ok {
			g = len(members)
			index[action], members = g, append(members, nil)
			out.Actions = append(out.Actions, policy.ActionPosterior{Action: c.actions[action]})
		}
		members[g] = append(members[g], i)
	}
	actions := make([]T, len(members))
	var best policy.Best
	for g, ms := range members {
		of, share, sum := make([]int32, len(ms)), make([]float64, len(ms)), 0.0
		for _, i := range ms {
			sum += w[i]
		}
		for j, i := range ms {
			of[j], share[j] = at[i], 1/float64(len(ms))
			if sum > 1e-300 {
				share[j] = w[i] / sum
			}
		}
		out.Actions[g].Posterior, actions[g] = score(of, share)
		copies := make([]T, len(ms))
		for j, i := range ms {
			out.Arms[i], copies[j] = score(of[j:j+1], []float64{1})
		}
		if err := compare(copies, &best); err != nil {
			return out, err
		}
		top := 0
		for j, i := range ms {
			out.Arms[i].PBest, out.Arms[i].Loss = best.P[j], best.Loss[j]
			if best.P[j] > best.P[top] {
				top = j
			}
		}
		out.Actions[g].Best = ms[top]
	}
	if err := compare(actions, &best); err != nil {
		return out, err
	}
	for g, ms := range members {
		a := &out.Actions[g]
		a.PBest, a.Loss = best.P[g], best.Loss[g]
		for _, i := range ms {
			out.Arms[i].PBest *= a.PBest
			out.Arms[i].Loss += a.Loss
		}
		if a.PBest > out.Actions[out.Winner].PBest {
			out.Winner = g
		}
	}
	return out, nil
}

// Borrowed fills what the prior of each arm's action at an intersection is worth, in pseudo-trials (B.6), parallel to
// arms: what Read calls Borrowed, but for the mix of the action's copies, which is even here.
func (s *Snapshot) Borrowed(x juncture.Intersection, arms []juncture.ArmID, borrowed []float64) error {
	var sp spot
	s.locate(x, &sp)
	seen := map[int32]float64{}
	for i, id := range arms {
		k, ok := s.cast.index[id]
		if !ok {
			return juncture.Errorf(juncture.CodeInternal, "arm %d is not in the snapshot", id)
		}
		action := s.cast.action[k]
		n0, ok := seen[action]
		if !ok {
			var of []int32
			for _, other := range arms {
				if o, ok := s.cast.index[other]; ok && s.cast.action[o] == action && !slices.Contains(of, o) {
					of = append(of, o)
				}
			}
			even := make([]float64, len(of))
			for j := range even {
				even[j] = 1 / float64(len(of))
			}
			b := s.believe(&sp, of, even)
			_, n0 = b.beta(b.arm + b.base)
			seen[action] = n0
		}
		borrowed[i] = n0
	}
	return nil
}

// Knows reports whether the fit knew an arm.
func (s *Snapshot) Knows(arm juncture.ArmID) bool {
	_, ok := s.cast.index[arm]
	return ok
}

// compare says in best which belief is the best, by rate, or by rate × value.
func (s *Snapshot) compare(x juncture.Intersection, ms []mixture, best *policy.Best) error {
	if s.value == nil {
		betas := make([]policy.Beta, len(ms))
		for i, m := range ms {
			betas[i], _ = m.beta(m.arm)
		}
		return best.Betas(betas)
	}
	normals := make([]policy.Normal, len(ms))
	for i, m := range ms {
		post, _ := m.beta(m.arm)
		mean, variance := s.worth(x, m.of, m.share)
		p := post.Mean()
		rate := (1 - p) / (p * (post.Alpha + post.Beta)) // Var ln p = (1−p)²·Var logit p
		normals[i] = policy.Normal{Mean: math.Log(p) + mean, Sd: max(minSd, math.Sqrt(rate+variance))}
	}
	return best.Normals(normals)
}

// worth returns the effects of arms on ln(value), mixed by weights, and their variance.
func (s *Snapshot) worth(x juncture.Intersection, arms []int32, weights []float64) (mean, variance float64) {
	var sp spot
	s.value.locate(x, &sp)
	b := s.value.believe(&sp, arms, weights)
	return b.eta, b.arm
}

func (s *Snapshot) posterior(x juncture.Intersection, b belief, arms []int32, weights []float64) policy.Posterior {
	beta, n0 := b.beta(b.arm + b.base)
	p := policy.Posterior{Alpha: beta.Alpha, Beta: beta.Beta, Borrowed: n0, Own: b.n, OwnSuccesses: b.s, Mean: beta.Mean()}
	p.Low, p.High = beta.Interval()
	if s.value != nil && s.value.known {
		mean, _ := s.worth(x, arms, weights)
		p.Value = p.Mean * math.Exp(min(mean+s.value.noise/2, 100))
	}
	return p
}
