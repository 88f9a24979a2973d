package watch

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/health"
)

const (
	leastHits = 50 // successes expected of a node, statistics E.11
	recently  = 14 * 24 * time.Hour
)

// changes looks for change-points of the goal's main outcome in the random group: each arm beside the others, in the store
// and at the axis values with the most successes. Buckets are days for five weeks, weeks before; what is older than 26
// weeks is left out. A change that was seen in the last 14 days is to be watched.
func (b *builder) changes() error {
	most := b.src.Settings.Places
	if most == 0 {
		most = defaultPlaces
	}
	var arms []juncture.ArmID
	for _, id := range sortedArms(b.sums.random) {
		if b.sums.random[id].trials > 0 {
			arms = append(arms, id)
		}
	}
	if b.src.Experiment == nil || most < 0 || len(arms) < 2 {
		return nil
	}
	places := b.sums.busiest(2*leastHits, min(most, max(1, maxNodes/len(arms))))
	c := Check{Name: "changes", Title: "Change-points", Verdict: health.VerdictThin, Changes: []health.Alarm{},
		Sentence: "Not enough outcomes of the random group yet to look for changes."}
	if len(places) > 0 {
		series, err := b.series(places, arms)
		if err != nil {
			return err
		}
		for i, p := range places {
			found, err := b.look(p, arms, series[i], len(arms)*len(places))
			if err != nil {
				return err
			}
			c.Changes = append(c.Changes, found...)
		}
		slices.SortFunc(c.Changes, func(a, b health.Alarm) int { return b.When.Compare(a.When) })
		c.Verdict = health.VerdictOK
		c.Sentence = fmt.Sprintf("No arm has changed beside the others, at %d places.", len(places))
	}
	if n := len(c.Changes); n > 0 {
		c.Sentence = c.Changes[0].Sentence
		if n > 1 {
			c.Sentence += fmt.Sprintf(" And %d more.", n-1)
		}
		if slices.ContainsFunc(c.Changes, func(a health.Alarm) bool { return b.src.AsOf.Sub(a.Seen) <= recently }) {
			c.Verdict = health.VerdictWatch
		}
	}
	b.out.Checks = append(b.out.Checks, c)
	return nil
}

// span is a stretch of time, in minutes since 1970, with what each arm had there.
type span struct {
	from, to int64
	arms     []health.Rate
}

// series reads the cells again: by place, the spans in which the random group had trials.
func (b *builder) series(places []place, arms []juncture.ArmID) ([]map[int64]*span, error) {
	index := make(map[place]int, len(places))
	out := make([]map[int64]*span, len(places))
	for i, p := range places {
		index[p], out[i] = i, map[int64]*span{}
	}
	err := b.src.Cells(func(c *juncture.Cell) error {
		var mine []int
		for _, p := range placesOf(c.Intersection) {
			if i, ok := index[p]; ok {
				mine = append(mine, i)
			}
		}
		for _, r := range c.Rows {
			k, ok := slices.BinarySearch(arms, r.Arm)
			if r.Group != juncture.GroupRandom || !ok || r.Event != "" && r.Event != b.sums.goal || r.Bucket.Old() {
				continue
			}
			from, to := (juncture.Calendar{}).Span(r.Bucket)
			if to-from < minutesPerDay {
				from -= from % minutesPerDay
				to = from + minutesPerDay
			}
			for _, i := range mine {
				s := out[i][from]
				if s == nil {
					s = &span{from: from, to: to, arms: make([]health.Rate, len(arms))}
					out[i][from] = s
				}
				s.to = max(s.to, to)
				if r.Event == "" {
					s.arms[k].Trials += r.Trials
				} else {
					s.arms[k].Hits += r.Successes
				}
			}
		}
		return nil
	})
	return out, err
}

// look finds the changes at one place.
func (b *builder) look(p place, arms []juncture.ArmID, series map[int64]*span, nodes int) ([]health.Alarm, error) {
	spans := slices.SortedFunc(maps.Values(series), func(a, b *span) int { return int(a.from - b.from) })
	var trials, hits int64
	for _, s := range spans {
		for i := range s.arms {
			s.arms[i].Hits = min(s.arms[i].Hits, s.arms[i].Trials)
			trials, hits = trials+s.arms[i].Trials, hits+s.arms[i].Hits
		}
	}
	if hits == 0 {
		return nil, nil
	}
	names := make([]string, len(arms))
	for k, id := range arms {
		names[k] = b.arm(id)
		if p != (place{}) {
			names[k] += " where " + experiments.AxisTitle(p.axis) + " is " + b.src.Names.Value(p.axis, p.value)
		}
	}
	asOf := b.src.AsOf.Unix() / 60
	buckets := make([]health.Bucket, 0, len(spans))
	for i, s := range spans {
		to := min(s.to, max(asOf, s.from+1))
		if i+1 < len(spans) { // a week whose last days are still kept as days
			to = min(to, spans[i+1].from)
		}
		for k := range s.arms {
			s.arms[k].Label, s.arms[k].Expected = names[k], float64(hits)/float64(trials)
		}
		buckets = append(buckets, health.Bucket{At: time.Unix(60*s.from, 0).UTC(), Length: time.Duration(to-s.from) * time.Minute, Arms: s.arms})
	}
	dispersion, err := health.Dispersion(buckets)
	if err != nil {
		return nil, err
	}
	return health.Changes(names, buckets, health.ChangeSettings{Nodes: nodes, Least: leastHits, Dispersion: dispersion})
}
