package watch

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

const (
	day           = 24 * time.Hour
	minutesPerDay = 24 * 60
)

// sums are what one pass over the cells leaves.
type sums struct {
	goal     string
	outcomes map[string]bool // by name; what else a cell may count is no outcome
	layers   []juncture.Layer
	enrolled map[phaseGroup]enrolled
	groups   map[juncture.Group]*counts
	arms     map[juncture.ArmID]*counts // of policy and random
	random   map[juncture.ArmID]*counts // of random alone
	places   map[place]int64            // successes of the goal in the random group
	days     map[int64]*dayCount        // by the day's beginning, Unix seconds; of policy and random
	late     int64                      // outcomes
	all      int64
	removed  int64 // trials
}

type phaseGroup struct {
	phase int
	group juncture.Group
}

type enrolled juncture.EnrolmentCount

func (e enrolled) plus(o enrolled) enrolled {
	return enrolled{Enrolled: e.Enrolled + o.Enrolled, Merged: e.Merged + o.Merged, Crossed: e.Crossed + o.Crossed, Excluded: e.Excluded + o.Excluded}
}

type counts struct {
	trials, removed int64
	by              map[string]int64 // trials with a success, by outcome
}

type dayCount struct {
	counts
	unknown [juncture.LayerCount]int64
}

// place is where an arm is watched: a value of an axis, or the store, the zero place.
type place struct{ axis, value string }

func newSums(src Source) *sums {
	s := &sums{layers: src.Layers, outcomes: map[string]bool{}, enrolled: map[phaseGroup]enrolled{}, groups: map[juncture.Group]*counts{}, arms: map[juncture.ArmID]*counts{},
		random: map[juncture.ArmID]*counts{}, places: map[place]int64{}, days: map[int64]*dayCount{}}
	for _, o := range src.Outcomes {
		s.outcomes[o.Name] = true
	}
	if src.Experiment != nil {
		s.goal = src.Experiment.Goal.Main()
	}
	return s
}

// at returns a map's entry, made where there is none.
func at[K comparable](m map[K]*counts, k K) *counts {
	c := m[k]
	if c == nil {
		c = &counts{by: map[string]int64{}}
		m[k] = c
	}
	return c
}

func (s *sums) add(c *juncture.Cell) {
	places := placesOf(c.Intersection)
	for _, r := range c.Rows {
		if n, ok := r.Enrolments(); ok {
			k := phaseGroup{n.Phase, r.Group}
			s.enrolled[k] = s.enrolled[k].plus(enrolled(n))
			continue
		}
		if _, n, ok := r.Late(); ok {
			s.late += n
			continue
		}
		drawn := r.Group == juncture.GroupPolicy || r.Group == juncture.GroupRandom
		if n, ok := r.Removed(); ok {
			s.removed += n
			if drawn {
				at(s.arms, r.Arm).removed += n
			}
			if r.Group == juncture.GroupRandom {
				at(s.random, r.Arm).removed += n
			}
			continue
		}
		if r.Event != "" && !s.outcomes[r.Event] {
			continue
		}
		s.all += r.Outcomes
		into := []*counts{at(s.groups, r.Group)}
		if drawn {
			into = append(into, at(s.arms, r.Arm))
			if d := s.day(r.Bucket); d != nil {
				into = append(into, &d.counts)
				for _, l := range s.layers {
					if !juncture.Known(c.Intersection.Value(l)) {
						d.unknown[l] += r.Trials
					}
				}
			}
		}
		if r.Group == juncture.GroupRandom {
			into = append(into, at(s.random, r.Arm))
			if r.Event == s.goal && r.Successes != 0 {
				for _, p := range places {
					s.places[p] += r.Successes
				}
			}
		}
		for _, t := range into {
			t.trials += r.Trials
			if r.Event != "" && r.Successes != 0 {
				t.by[r.Event] += r.Successes
			}
		}
	}
}

// day is that of a bucket of a day or less, nil for a longer one.
func (s *sums) day(b juncture.Bucket) *dayCount {
	from, to := (juncture.Calendar{}).Span(b)
	if b.Old() || to-from > minutesPerDay {
		return nil
	}
	at := 60 * (from - from%minutesPerDay)
	d := s.days[at]
	if d == nil {
		d = &dayCount{counts: counts{by: map[string]int64{}}}
		s.days[at] = d
	}
	return d
}

// placesOf are the store and the known values of an intersection's axes.
func placesOf(x juncture.Intersection) []place {
	out := []place{{}}
	for _, axis := range juncture.AxisNames() {
		if v, _ := x.AxisNamed(axis); juncture.Known(v) {
			out = append(out, place{axis, v})
		}
	}
	return out
}

// commonest is the outcome of a kind that most trials of policy and random have, "" for none.
func (s *sums) commonest(outcomes []juncture.OutcomeType, of func(juncture.OutcomeType) bool) string {
	name, n := "", int64(0)
	for _, o := range outcomes {
		var trials int64
		for _, a := range s.arms {
			trials += a.by[o.Name]
		}
		if of(o) && trials > n {
			name, n = o.Name, trials
		}
	}
	return name
}

func sortedArms(m map[juncture.ArmID]*counts) []juncture.ArmID { return slices.Sorted(maps.Keys(m)) }

func sortedDays(m map[int64]*dayCount) []int64 { return slices.Sorted(maps.Keys(m)) }

// busiest are the places with at least so many successes, the most first, at most n.
func (s *sums) busiest(least int64, n int) []place {
	var out []place
	for p, hits := range s.places {
		if hits >= least {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b place) int {
		return cmp.Or(cmp.Compare(s.places[b], s.places[a]), cmp.Compare(a.axis, b.axis), cmp.Compare(a.value, b.value))
	})
	return out[:min(len(out), n)]
}
