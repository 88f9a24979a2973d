package interval

import (
	"math"
	"math/rand/v2"
)

// market is a store whose truth is known, for validation: shoppers enrol one after another into policy, random, bau and holdout
// (85/5/5/5), come up to four times, and may order at each visit. Orders arrive late or never and may be taken back. The policy is a
// Thompson bandit over four arms that learns from what has arrived.
type market struct {
	base  float64    // a shopper's chance of an order that stands, without any arm's effect, is about this
	arms  [4]float64 // factors on the chance of a visit; bau has arms[0], the holdout 1
	sigma float64    // of log-normal order values, mean 1; 0 makes the value 1 per shopper with an order: a conversion
	wave  float64    // the base moves by ± this share, a whole wave in 20,000 shoppers
	n     int        // shoppers
	grow  int        // from this shopper on the holdout has 20% and the policy 70%, a second phase; 0 is never
}

const (
	policy, random, bau, holdout = 0, 1, 2, 3

	batch      = 100  // shoppers between two looks, and between two states of the bandit
	window     = 40   // batches until a shopper's window closes
	visitGap   = 6    // batches between a shopper's visits
	lost       = 0.03 // orders that come after the window
	takenBack  = 0.08 // orders refunded within it
	draws      = 16   // Thompson draws that the visits of a batch share
	meanVisits = 1*0.55 + 2*0.25 + 3*0.12 + 4*0.08
)

// keen are the shoppers' factors, equally likely; visits the chances of 1 to 4 visits.
func keen() [3]float64   { return [3]float64{0.4, 1, 1.6} }
func visits() [4]float64 { return [4]float64{0.55, 0.25, 0.12, 0.08} }

// groups are the moments of policy, random, bau and holdout.
type groups [4]Moments

// against pairs the policy with another group, by phase.
func against(phases [2]groups, other int) []Phase {
	return []Phase{{phases[0][policy], phases[0][other]}, {phases[1][policy], phases[1][other]}}
}

type customer struct {
	group, left int
	keen, value float64
	shown       float64 // visits, the covariate of a ratio
}

// play runs the market and calls look after every batch of shoppers whose window has closed, with the groups' moments so far
// by phase and the true mean difference policy − holdout, and relative lift, of the shoppers so far.
func (m market) play(r *rand.Rand, look func(phases [2]groups, difference, lift float64)) {
	stands := (1 - lost) * (1 - takenBack)
	rate := m.base / meanVisits / stands
	batches := m.n / batch
	total := batches + window
	enrolled := make([][]customer, batches)
	due := make([][]*customer, total+4*visitGap+1)
	type news struct {
		arm  int
		gain float64
	}
	arrives := make([][]news, total+200)
	var trials, successes [4]float64
	policyRate, baseRate := make([]float64, total), make([]float64, total) // mean factor × wave at a visit in the batch
	var phases [2]groups
	var truth [2]float64
	for b := range total {
		for _, n := range arrives[b] {
			successes[n.arm] += n.gain
		}
		var picks [draws]int
		season := 1 + m.wave*math.Sin(2*math.Pi*float64(b*batch)/20_000)
		baseRate[b] = season
		for d := range picks {
			best := math.Inf(-1)
			for k := range m.arms {
				a, f := 1+math.Max(0, successes[k]), 30+trials[k]-math.Max(0, successes[k])
				mean := a / (a + f)
				if v := mean + r.NormFloat64()*math.Sqrt(mean*(1-mean)/(a+f+1)); v > best {
					best, picks[d] = v, k
				}
			}
			policyRate[b] += season * m.arms[picks[d]] / draws
		}
		if b < batches {
			enrolled[b] = make([]customer, batch)
			for i := range enrolled[b] {
				c := &enrolled[b][i]
				policyShare := 0.85
				if m.grow > 0 && b*batch >= m.grow {
					policyShare = 0.70
				}
				switch u := r.Float64(); {
				case u < policyShare:
					c.group = policy
				case u < policyShare+0.05:
					c.group = random
				case u < policyShare+0.10:
					c.group = bau
				default:
					c.group = holdout
				}
				c.keen = keen()[r.IntN(3)]
				u := r.Float64()
				for _, p := range visits() {
					c.left++
					if u -= p; u < 0 {
						break
					}
				}
				c.left = min(c.left, 4)
				due[b] = append(due[b], c)
			}
		}
		for _, c := range due[b] {
			arm, factor := 0, 1.0
			switch c.group {
			case policy:
				arm = picks[r.IntN(draws)]
			case random:
				arm = r.IntN(4)
			}
			if c.group != holdout {
				factor = m.arms[arm]
			}
			c.shown++
			if c.group == policy || c.group == random {
				trials[arm]++
			}
			if r.Float64() < rate*season*c.keen*factor {
				late := b + 1 + int(r.ExpFloat64()*5)
				inTime, stays := r.Float64() >= lost, r.Float64() >= takenBack
				if c.group == policy || c.group == random {
					arrives[min(late, len(arrives)-1)] = append(arrives[min(late, len(arrives)-1)], news{arm, 1})
					if !stays {
						back := min(late+5, len(arrives)-1)
						arrives[back] = append(arrives[back], news{arm, -1})
					}
				}
				if inTime && stays {
					if m.sigma == 0 {
						c.value = 1
					} else {
						c.value += math.Exp(m.sigma*r.NormFloat64() - m.sigma*m.sigma/2)
					}
				}
			}
			if c.left--; c.left > 0 {
				due[b+visitGap] = append(due[b+visitGap], c)
			}
		}
		due[b] = nil
		if closed := b - window; closed >= 0 {
			phase := 0
			if m.grow > 0 && closed*batch >= m.grow {
				phase = 1
			}
			for _, c := range enrolled[closed] {
				phases[phase][c.group] = phases[phase][c.group].Plus(Unit(c.value, c.shown))
			}
			enrolled[closed] = nil
			truth[0] += m.expect(rate*stands, policyRate[closed:])
			truth[1] += m.expect(rate*stands, baseRate[closed:])
			n := float64(closed + 1)
			look(phases, (truth[0]-truth[1])/n, truth[0]/truth[1]-1)
		}
	}
}

// expect is the mean value of a shopper who enrols at the first of the batches, given what is shown then.
func (m market) expect(rate float64, factors []float64) float64 {
	sum := 0.0
	for _, k := range keen() {
		none, orders := 1.0, 0.0
		for v, p := range visits() {
			x := rate * k * factors[v*visitGap]
			none *= 1 - x
			orders += x
			if m.sigma == 0 {
				sum += p * (1 - none)
			} else {
				sum += p * orders
			}
		}
	}
	return sum / 3
}
