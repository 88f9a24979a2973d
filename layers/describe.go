package layers

import (
	"math"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/layers/meaning"
	"github.com/juncture/juncture/layers/moment"
	"github.com/juncture/juncture/layers/trajectory"
)

// Settings are a store's settings of the derived layers; the zero value is every default.
type Settings struct {
	Moment    moment.Settings
	Meaning   meaning.Settings
	Catalogue catalogue.Settings
	// MinConfidence makes a layer unknown below it; 0 means the layer's own. In [0, 1], in key order.
	MinConfidence [juncture.LayerCount]float64

	// StoreOdds is the store's log-odds of another order within 90 days against the mean of the two stores that churn
	// risk was fitted on (moment.State.RepurchaseScore).
	StoreOdds float64
	// ChurnHorizon is how long without another order counts as churned; default 90 days.
	ChurnHorizon time.Duration
}

// SettingsOf reads a store's settings of the layers from its declaration.
func SettingsOf(declared map[string]juncture.LayerSetting, currency string) Settings {
	var set Settings
	d := func(v juncture.Duration) time.Duration { return time.Duration(v) }
	minor := func(v float64) int64 { return int64(math.Round(v * math.Pow10(juncture.MinorDigits(currency)))) }
	for i := range juncture.LayerCount {
		set.MinConfidence[i] = declared[juncture.Layer(i).String()].MinConfidence
	}
	m := declared[juncture.Moment.String()]
	set.Moment = moment.Settings{Dormant: d(m.Dormant), AbandonAfter: d(m.AbandonAfter), AbandonFor: d(m.AbandonFor), Fresh: d(m.Fresh),
		AtRiskGaps: m.AtRiskGaps, AtRiskOrders: m.AtRiskOrders, LoyalOrders: m.LoyalOrders, LoyalValue: minor(m.LoyalValue), VIPValue: minor(m.VIPValue)}
	t := declared[juncture.Meaning.String()]
	set.Meaning = meaning.Settings{HalfLife: d(t.HalfLife), MinConfidence: t.MinConfidence}
	c := declared[juncture.Catalogue.String()]
	set.Catalogue = catalogue.Settings{FocusHalfLife: d(c.HalfLife), MinConfidence: c.MinConfidence}
	return set
}

// Knowledge is what the store has learnt beside its shoppers' profiles; what is nil leaves its layer unknown. It is
// immutable but for Index and Rates, which are safe for concurrent use.
type Knowledge struct {
	Model *meaning.Model    // nil: no taste clusters yet
	Goods *meaning.Goods    // of the model's space
	Index *catalogue.Index  // nil: no products
	Rates *trajectory.Rates // nil: nothing known of the store's visits
}

// Describe reads the derived layers of a profile at now: time alone moves a shopper, reading never does.
func Describe(p *Profile, now time.Time, set Settings, k Knowledge) Described {
	var d Described
	m := p.Head.Moment.Describe(now, set.Moment)
	t := p.Head.Trajectory.Describe(now)
	d.Views = [juncture.LayerCount]juncture.LayerView{
		juncture.Moment:     {Value: m.Value, Confidence: m.Confidence, Reason: m.Reason},
		juncture.Meaning:    {Value: juncture.Unknown, Reason: "no taste clusters have been learnt yet"},
		juncture.Trajectory: {Value: t.Value, Confidence: t.Confidence, Reason: t.Reason},
		juncture.Catalogue:  catalogue.Focus(p.looks(k.Index), now, set.Catalogue),
	}
	d.feed = k.Index != nil && k.Index.Len() > 0
	if k.Model != nil {
		taste, before := p.Taste(k, set)
		d.Views[juncture.Meaning] = k.Model.View(taste, before, now, set.Meaning)
	}
	for l := range d.Views {
		v := &d.Views[l]
		if v.Value != juncture.Unknown && v.Confidence < set.MinConfidence[l] {
			v.Value, v.Reason = juncture.Unknown, "too little seen to rely on: "+v.Reason
		}
		d.Intersection[l] = v.Value
		d.Low[l] = v.Value == juncture.Unknown && (juncture.Layer(l) != juncture.Meaning || k.Model != nil)
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
