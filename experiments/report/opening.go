package report

import (
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// Headline names the lift that a report opens with: of the group policy over another.
type Headline struct {
	Outcome string         `json:"outcome"`
	Measure string         `json:"measure"`
	Over    juncture.Group `json:"over"`
}

// Opening is the lift of the headline; false while the report has none.
func (r Report) Opening() (Lift, bool) {
	if r.Headline == nil {
		return Lift{}, false
	}
	i := slices.IndexFunc(r.Lifts, func(l Lift) bool {
		return l.Outcome == r.Headline.Outcome && l.Measure == r.Headline.Measure && l.Group == juncture.GroupPolicy && l.Over == r.Headline.Over
	})
	if i < 0 {
		return Lift{}, false
	}
	return r.Lifts[i], true
}

// headline is what the report opens with; nil where there is no group to compare with.
func (src Source) headline() *Headline {
	o, measure, over, ok := builder{src: src}.headline(nil)
	if src.Experiment == nil {
		over, ok = juncture.GroupHoldout, o.Name != ""
	}
	if !ok {
		return nil
	}
	return &Headline{o.Name, measure, over}
}

// Traffic is how many decisions counted on a day, UTC, of all groups.
type Traffic struct {
	Day       string `json:"day"`
	Decisions int64  `json:"decisions"`
}

// trafficDays are the days of Report.Traffic; tallies keep days apart for 35.
const trafficDays = 7

// traffic counts the decisions of the last days, today last.
func (src Source) traffic(match func(juncture.Intersection) bool) []Traffic {
	today := src.AsOf.UTC().Truncate(24 * time.Hour)
	first := today.AddDate(0, 0, 1-trafficDays)
	out := make([]Traffic, trafficDays)
	for i := range out {
		out[i].Day = first.AddDate(0, 0, i).Format(time.DateOnly)
	}
	for i := range src.Cells {
		if !match(src.Cells[i].Intersection) {
			continue
		}
		for _, row := range src.Cells[i].Rows {
			if row.Event != "" || row.Bucket.Old() {
				continue
			}
			from, _ := juncture.Calendar{}.Span(row.Bucket)
			if day := int(time.Unix(from*60, 0).Sub(first) / (24 * time.Hour)); day >= 0 && day < trafficDays && from*60 >= first.Unix() {
				out[day].Decisions += row.Trials
			}
		}
	}
	return out
}

// started is when the experiment began, else when the first shopper was enrolled: to the hour, after 2 days to the day and
// after 35 to the week, as the buckets of the tallies say; zero: nobody is enrolled.
func (src Source) started() time.Time {
	if x := src.Experiment; x != nil && x.Starts != nil {
		return *x.Starts
	}
	var first time.Time
	for i := range src.Cells {
		for _, row := range src.Cells[i].Rows {
			if n, ok := row.Enrolments(); ok && n.Enrolled > 0 && !row.Bucket.Old() {
				from, _ := juncture.Calendar{}.Span(row.Bucket)
				if at := time.Unix(from*60, 0).UTC(); first.IsZero() || at.Before(first) {
					first = at
				}
			}
		}
	}
	return first
}
