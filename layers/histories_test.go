package layers_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/trajectory"
)

func folded(events []juncture.Event) *layers.Profile {
	p := &layers.Profile{}
	for _, e := range events {
		p.Fold(e)
	}
	return p
}

// read is what a script is judged by: moment, trajectory, and the posture when there is one.
func read(p *layers.Profile, now time.Time) []string {
	d := layers.Describe(p, now, layers.Settings{}, layers.Knowledge{})
	out := []string{d.Intersection[juncture.Moment], d.Intersection[juncture.Trajectory]}
	if posture := layers.Posture(p, now); posture != trajectory.PostureNone {
		out = append(out, string(posture))
	}
	return out
}

func TestHistories(t *testing.T) {
	rows := scripts(t)
	if len(rows) < 40 {
		t.Fatalf("%d histories; at least 40 are asked for", len(rows))
	}
	for _, s := range rows {
		var known, anon []juncture.Event
		for i, e := range s.events {
			if s.anon[i] {
				e.Shopper = "anon"
				anon = append(anon, e)
			} else {
				known = append(known, e)
			}
		}
		p := layers.Merge(*folded(known), *folded(anon))
		if got := read(&p, s.now); !slices.Equal(got, s.want) {
			t.Errorf("histories.txt:%d: %s\n got  %s\n want %s\n because %+v", s.line, s.name, strings.Join(got, " | "), strings.Join(s.want, " | "),
				layers.Describe(&p, s.now, layers.Settings{}, layers.Knowledge{}).Views)
		}
		// However the events arrive, and whoever they were first taken for, it is the same profile.
		p.Shopper = "ada"
		want, _ := p.MarshalBinary()
		for i, other := range arrivals(s.events) {
			other.Shopper = "ada"
			if got, _ := other.MarshalBinary(); !bytes.Equal(got, want) || !slices.Equal(read(other, s.now), read(&p, s.now)) {
				t.Errorf("histories.txt:%d: %s: arrival %d gives another profile", s.line, s.name, i)
			}
		}
	}
}

// arrivals folds the same events in order, in reverse, shuffled, and split between two identities.
func arrivals(events []juncture.Event) []*layers.Profile {
	out := []*layers.Profile{folded(events)}
	back := slices.Clone(events)
	slices.Reverse(back)
	out = append(out, folded(back))
	r := rand.New(rand.NewPCG(3, 4))
	r.Shuffle(len(back), func(i, j int) { back[i], back[j] = back[j], back[i] })
	out = append(out, folded(back))
	var odd, even []juncture.Event
	for i, e := range events {
		if i%2 == 0 {
			even = append(even, e)
		} else {
			odd = append(odd, e)
		}
	}
	a, b := layers.Merge(*folded(odd), *folded(even)), layers.Merge(*folded(even), *folded(odd))
	return append(out, &a, &b)
}
