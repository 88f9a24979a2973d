package juncture

import (
	"fmt"
	"time"
)

// Cap bounds how often an action is served; what reaches it is not eligible. Zero fields bound nothing.
type Cap struct {
	PerShopper *Frequency `json:"perShopper,omitempty"`
	PerDay     int64      `json:"perDay,omitempty"` // decisions that serve it, in a day of UTC
	Spend      *Spend     `json:"spend,omitempty"`
}

// Pressure bounds how often a shopper is told something anywhere: decisions that a policy or chance drew, over all surfaces.
// Beyond it every surface serves its default.
type Pressure struct {
	PerShopper Frequency `json:"perShopper"`
}

// Frequency is so many times in a span of time that ends now.
type Frequency struct {
	N   int    `json:"n"`   // 1 to MaxFrequency
	Per Period `json:"per"` // hour, day, week, month
}

// Period is a span that frequencies are counted over.
type Period string

// The periods.
const (
	PerHour  Period = "hour"
	PerDay   Period = "day"   // 24 hours
	PerWeek  Period = "week"  // 7 days
	PerMonth Period = "month" // 30 days
)

// Span is the period's length, 0 for none.
func (p Period) Span() time.Duration {
	switch p {
	case PerHour:
		return time.Hour
	case PerDay:
		return 24 * time.Hour
	case PerWeek:
		return 7 * 24 * time.Hour
	case PerMonth:
		return 30 * 24 * time.Hour
	}
	return 0
}

// MaxFrequency bounds the n of a frequency: so many touches of a shopper are kept in memory.
const MaxFrequency = 100

// Spend is a budget, in currency units, used up by what each time costs.
type Spend struct {
	Most    float64 `json:"most"`              // over 0
	Cost    float64 `json:"cost"`              // of each, over 0
	Per     string  `json:"per"`               // serve or success
	Outcome string  `json:"outcome,omitempty"` // of success: which
}

// What a Spend is charged for.
const (
	SpendServe   = "serve"   // each decision that serves it, since the action starts
	SpendSuccess = "success" // each trial with the outcome, refunds taken back
)

// Times is how many times the budget pays for.
func (s Spend) Times() int64 { return int64(s.Most/s.Cost + 1e-9) }

func (c *check) frequency(path string, f *Frequency) {
	if f == nil {
		return
	}
	c.number(path+".n", float64(f.N), 1, MaxFrequency)
	c.oneOf(path+".per", string(f.Per), string(PerHour), string(PerDay), string(PerWeek), string(PerMonth))
}

// terms checks an action's terms; outcomes nil: they are not known here.
func (c *check) terms(path string, t Terms, outcomes map[string]OutcomeType) {
	if len(t.Owner) > 200 {
		c.add(path+".owner", fmt.Sprintf("%d bytes; at most 200", len(t.Owner)), "")
	}
	if t.Starts != nil && t.Expires != nil && !t.Starts.Before(*t.Expires) {
		c.add(path+".expires", "expires before it starts", "")
	}
	if t.Cap == nil {
		return
	}
	c.frequency(path+".cap.perShopper", t.Cap.PerShopper)
	c.number(path+".cap.perDay", float64(t.Cap.PerDay), 0, 1e12)
	s := t.Cap.Spend
	if s == nil {
		return
	}
	if !(s.Most > 0 && s.Most <= 1e12) {
		c.add(path+".cap.spend.most", fmt.Sprintf("%v is no budget", s.Most), "spend: {most: 5000, cost: 5, per: success, outcome: purchase}")
	}
	if !(s.Cost > 0 && s.Cost <= s.Most) {
		c.add(path+".cap.spend.cost", fmt.Sprintf("%v is not over 0 and at most the budget", s.Cost), "what one costs, in the store's currency")
	}
	c.oneOf(path+".cap.spend.per", s.Per, SpendServe, SpendSuccess)
	if _, ok := outcomes[s.Outcome]; s.Per == SpendSuccess && outcomes != nil && !ok {
		c.add(path+".cap.spend.outcome", fmt.Sprintf("no outcome is called %.80q", s.Outcome), "declare it under outcomes")
	}
	if s.Per == SpendServe && s.Outcome != "" {
		c.add(path+".cap.spend.outcome", "what is charged for each serve has no outcome", "per: success")
	}
}
