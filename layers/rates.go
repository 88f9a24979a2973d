package layers

import (
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/trajectory"
)

// Step is what an event adds to what the store knows of its visits (trajectory.Rates), asked of the shopper's profile
// before the event is folded; false where it adds nothing: a late event, a repeat, or what is no behaviour in the store. A
// visit is events of one session of the sender, or of none, without a gap of trajectory.SessionGap.
func (p *Profile) Step(e juncture.Event) (trajectory.Step, bool) {
	switch e.Kind {
	case juncture.EventOther, juncture.EventOrderCancelled, juncture.EventOrderRefunded, juncture.EventCampaignEngaged, juncture.EventIdentified:
		return trajectory.Step{}, false
	}
	r := recentOf(e, nil)
	s := trajectory.Step{At: time.UnixMilli(r.At).UTC(), Opens: true, Orders: r.Kind == juncture.EventOrderCompleted}
	if trajectory.Shown(r.Kind) {
		s.To = r.page()
	}
	pages := 0
	for i, at := len(p.Ring)-1, r.At; i >= 0; i-- {
		b := &p.Ring[i]
		if b.ID == r.ID && r.ID != "" || i == len(p.Ring)-1 && compareRecent(*b, r) > 0 {
			return trajectory.Step{}, false
		}
		switch b.Kind {
		case juncture.EventOther, juncture.EventOrderCancelled, juncture.EventOrderRefunded, juncture.EventCampaignEngaged, juncture.EventIdentified:
			continue
		}
		if b.Session != r.Session || at-b.At >= trajectory.SessionGap.Milliseconds() {
			break
		}
		at, s.Opens = b.At, false
		s.Orders = s.Orders && b.Kind != juncture.EventOrderCompleted
		if trajectory.Shown(b.Kind) {
			if pages++; pages == 1 {
				s.From = b.page()
			}
		}
	}
	s.Second = pages == 1
	if s.Source = trajectory.SourceKey(e.Source); !s.Opens {
		if known := p.Head.Trajectory.Source(s.At); known != 0 {
			s.Source = known
		}
	}
	return s, true
}

// page is what an event shows: a product counts by its category.
func (r *Recent) page() trajectory.Page {
	p := trajectory.Page{Kind: r.Kind, Category: r.Category}
	if p.Category == "" && len(r.Lines) > 0 {
		p.Category = r.Lines[0].Category
	}
	return p
}

// PurchaseScore is the probability of an order in the visit that runs (trajectory.State.LiveScore), with what the store's
// own visits say of the pages seen in it, as far as they are among the latest events. False when no visit runs.
func PurchaseScore(p *Profile, now time.Time, k Knowledge) (float64, bool) {
	var pages []trajectory.Page
	for i, at := len(p.Ring)-1, now.UnixMilli(); i >= 0; i-- {
		r := &p.Ring[i]
		if at-r.At >= trajectory.SessionGap.Milliseconds() {
			break
		}
		at = r.At
		if trajectory.Shown(r.Kind) {
			pages = append(pages, r.page())
		}
	}
	return p.Head.Trajectory.LiveScore(now, k.Rates.Context(pages, p.Head.Trajectory.Source(now), now))
}
