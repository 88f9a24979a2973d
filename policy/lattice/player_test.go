package lattice_test

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/policy/lattice"
	"github.com/juncture/juncture/simulate"
)

// player drives the lattice as an engine would (B.4): a refit once evidence has grown by 4% and by 500 trials, or by
// 20,000; vectors cached per snapshot, intersection and eligible set; a floor of 0.01 in total.
type player struct {
	arms     []lattice.Arm
	set      lattice.Settings
	evidence *lattice.Evidence
	snapshot *lattice.Snapshot
	fitted   int64
	fits     int
	spent    time.Duration
	vectors  map[vectorKey][]float64
	ws       lattice.Workspace
	ids      []juncture.ArmID
	money    bool
	delayed  bool
	least    int64
}

type vectorKey struct {
	x   juncture.Intersection
	set uint64
}

func newPlayer(s *simulate.Store, set lattice.Settings) *player {
	p := &player{set: set, evidence: lattice.NewEvidence(lattice.Calendar{}), money: s.Money, delayed: s.Delay > 0, least: 500}
	p.set.Value = s.Money
	if s.Delay > 0 {
		p.set.Window = s.Window
	}
	for i, a := range s.Arms {
		p.arms = append(p.arms, lattice.Arm{ID: juncture.ArmID(i + 1), Arm: a})
	}
	return p
}

func (p *player) Choose(_ context.Context, calls []simulate.Call, out []simulate.Choice) error {
	for i := range calls {
		c := &calls[i]
		grown := p.evidence.Trials() - p.fitted
		if p.snapshot == nil || grown >= 20_000 || grown >= p.least && grown*25 >= p.fitted {
			begin := time.Now()
			p.evidence.Compact(c.At)
			s, err := lattice.Fit(p.evidence.View(), p.arms, p.set, c.At, "")
			if err != nil {
				return err
			}
			p.spent += time.Since(begin)
			p.snapshot, p.fitted, p.vectors = s, p.evidence.Trials(), map[vectorKey][]float64{}
			p.fits++
		}
		key := vectorKey{x: c.Intersection}
		p.ids = p.ids[:0]
		for _, a := range c.Eligible {
			key.set |= 1 << a
			p.ids = append(p.ids, juncture.ArmID(a+1))
		}
		w := p.vectors[key]
		if w == nil {
			w = make([]float64, len(c.Eligible))
			if err := p.snapshot.Vector(c.Intersection, p.ids, &p.ws, w); err != nil {
				return err
			}
			policy.Floor(w, 0.01)
			p.vectors[key] = w
		}
		k := policy.Pick(w, c.Draw)
		out[i] = simulate.Choice{Arm: c.Eligible[k], Probability: w[k]}
		p.evidence.Add(c.Intersection, p.ids[k], c.At, lattice.Counts{Trials: 1})
	}
	return nil
}

func (p *player) Reward(_ context.Context, successes []simulate.Success) error {
	for _, s := range successes {
		c := lattice.Counts{Successes: 1}
		if p.money {
			c.LogValue, c.LogValueSq = logValue(s.Value)
		}
		p.evidence.Add(s.Intersection, juncture.ArmID(s.Arm+1), s.Trial, c)
		if p.delayed {
			p.evidence.AddDelay(s.Trial, s.At.Sub(s.Trial), 1)
		}
	}
	return nil
}

// thompson is Thompson sampling on Beta(1, 19), by intersection (flat) or for the store.
type thompson struct {
	flat bool
	rng  *rand.Rand
	n    map[juncture.Intersection]*[64][2]float64
}

func newThompson(flat bool) *thompson {
	return &thompson{flat: flat, rng: rand.New(rand.NewPCG(7, 7)), n: map[juncture.Intersection]*[64][2]float64{}}
}

func (p *thompson) at(x juncture.Intersection) *[64][2]float64 {
	if !p.flat {
		x = juncture.Intersection{}
	}
	c := p.n[x]
	if c == nil {
		c = &[64][2]float64{}
		p.n[x] = c
	}
	return c
}

func (p *thompson) Choose(_ context.Context, calls []simulate.Call, out []simulate.Choice) error {
	for i := range calls {
		c := p.at(calls[i].Intersection)
		best := -1.0
		for _, a := range calls[i].Eligible {
			n := c[a]
			if v := betaDraw(p.rng, 1+n[1], 19+max(0, n[0]-n[1])); v > best {
				best, out[i] = v, simulate.Choice{Arm: a, Probability: 1}
			}
		}
		c[out[i].Arm][0]++
	}
	return nil
}

func (p *thompson) Reward(_ context.Context, successes []simulate.Success) error {
	for _, s := range successes {
		p.at(s.Intersection)[s.Arm][1] += s.Value
	}
	return nil
}
