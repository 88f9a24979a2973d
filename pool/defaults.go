package pool

import (
	"fmt"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// defaults fills in whose default an action and its copies are, and warns of every surface where nothing of it can be
// served: business as usual, and every surface that falls back, show nothing there.
func defaults(d *juncture.Declaration, a *juncture.PoolAction, now time.Time) {
	a.Warnings = nil
	for _, s := range d.Surfaces {
		if s.Default != a.ID {
			continue
		}
		a.DefaultOf = append(a.DefaultOf, s.ID)
		shown := []int{} // copies that the default can be
		for i, w := range a.Copies {
			if (s.DefaultCopy == "" || s.DefaultCopy == w.ID) && w.State == juncture.PoolLive {
				shown = append(shown, i)
			}
		}
		if len(shown) == 1 {
			w := &a.Copies[shown[0]]
			w.DefaultOf = append(w.DefaultOf, s.ID)
		}
		if len(shown) == 0 {
			a.Warnings = append(a.Warnings, fmt.Sprintf("it is the default of surface %q, and %s: until it is live, business as usual and every fallback there show nothing", s.ID, keptBack(a, s.DefaultCopy)))
		} else if e := a.Expires; e != nil && now.Before(*e) {
			a.Warnings = append(a.Warnings, fmt.Sprintf("it is the default of surface %q, and it expires at %s: from then on business as usual and every fallback there show nothing", s.ID, e.UTC().Format(time.RFC3339)))
		}
	}
}

// keptBack says what keeps an action, or the copy of it that a surface names, from being served.
func keptBack(a *juncture.PoolAction, copy string) string {
	said := func(what string, s juncture.PoolState) string {
		return what + " is " + strings.ReplaceAll(string(s), "_", " ")
	}
	if a.State != juncture.PoolLive && a.State != juncture.PoolApproved {
		return said("it", a.State)
	}
	for _, w := range a.Copies {
		if w.ID == copy {
			return said(fmt.Sprintf("its copy %q", copy), w.State)
		}
	}
	return "no copy of it is live"
}

// warned warns of what a declaration that is about to be would keep back of an action.
func warned(c *juncture.Catalog, d juncture.Declaration, action string, now time.Time) []string {
	next := *c
	next.Declaration = d
	a, err := Find(&next, action, now)
	if err != nil { // it is there: the plan found it
		return nil
	}
	return a.Warnings
}
