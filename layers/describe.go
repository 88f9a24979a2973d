package layers

import (
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/moment"
	"github.com/juncture/juncture/layers/trajectory"
)

// Settings are a store's settings of the derived layers; the zero value is every default.
type Settings struct {
	Moment moment.Settings

	// StoreOdds is the store's log-odds of another order within 90 days against the mean of the two stores that churn
	// risk was fitted on (moment.State.RepurchaseScore).
	StoreOdds float64
	// ChurnHorizon is how long without another order counts as churned; default 90 days.
	ChurnHorizon time.Duration
}

// Describe reads the derived layers of a profile at now: time alone moves a shopper, reading never does. Meaning and
// catalogue need what the store learnt beside the profile and are unknown here.
func Describe(p *Profile, now time.Time, set Settings) Described {
	var d Described
	m := p.Head.Moment.Describe(now, set.Moment)
	t := p.Head.Trajectory.Describe(now)
	d.Views = [juncture.LayerCount]juncture.LayerView{
		juncture.Moment:     {Value: m.Value, Confidence: m.Confidence, Reason: m.Reason},
		juncture.Meaning:    {Value: juncture.Unknown, Reason: "needs the store's clusters"},
		juncture.Trajectory: {Value: t.Value, Confidence: t.Confidence, Reason: t.Reason},
		juncture.Catalogue:  {Value: juncture.Unknown, Reason: "needs the store's catalogue"},
	}
	for l, v := range d.Views {
		d.Intersection[l] = v.Value
	}
	return d
}

// Posture is what the shopper is doing about a decision at now.
func Posture(p *Profile, now time.Time) trajectory.Posture {
	return p.Head.Trajectory.Describe(now).Posture
}

// ChurnRisk is the probability that a shopper with an order makes none within the horizon; false without an order.
func ChurnRisk(p *Profile, now time.Time, set Settings) (float64, bool) {
	horizon := set.ChurnHorizon
	if horizon <= 0 {
		horizon = 90 * 24 * time.Hour
	}
	again, ok := p.Head.Moment.RepurchaseScore(now, horizon, set.StoreOdds)
	return 1 - again, ok
}
