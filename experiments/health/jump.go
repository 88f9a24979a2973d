package health

import (
	"math"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/juncture/juncture"
)

// Day is how often something happened on one day: decisions whose derived layer was unknown, outcomes that came late.
type Day struct {
	At     time.Time
	Trials int64
	Hits   int64
}

// JumpSettings say when a day is unlike the days before.
type JumpSettings struct {
	Alpha float64 // false alarms a day and series; 0: 0.0005, one in five years and a half
	Least float64 // the smallest change of a share that matters, in (0, 1]; 0: 0.02
	Days  int     // how many days before are looked at, at least MinJumpDays; 0: 28
}

// MinJumpDays is how many days must stand before the one that is judged.
const MinJumpDays = 7

// Jump is what may be said of the last day.
type Jump struct {
	Before   float64 `json:"before"` // share of the days before, pooled
	Now      float64 `json:"now"`
	P        float64 `json:"p"` // two-sided
	Verdict  Verdict `json:"verdict"`
	Sentence string  `json:"sentence"`
}

// LastDay tests whether the last day of a series is one more of the days before it: Student's prediction interval on the
// log-odds (half a hit added to both sides), with the spread between days taken from the days themselves, since shares
// that depend on the weekday or on a campaign vary by more than chance. The spread is at least that of chance. Days
// without trials are skipped. what names the share: "meaning unknown".
//
// Errors: CodeInvalidRequest for counts or settings that are none, or days out of order.
func LastDay(what string, days []Day, set JumpSettings) (Jump, error) {
	if set.Alpha == 0 {
		set.Alpha = 0.0005
	}
	if set.Least == 0 {
		set.Least = 0.02
	}
	if set.Days == 0 {
		set.Days = 28
	}
	if err := checkAlpha(set.Alpha); err != nil {
		return Jump{}, err
	}
	if !(set.Least > 0 && set.Least <= 1) || set.Days < MinJumpDays {
		return Jump{}, juncture.Errorf(juncture.CodeInvalidRequest, "least %v or days %d: a share, and at least %d", set.Least, set.Days, MinJumpDays)
	}
	kept := make([]Day, 0, len(days))
	for i, d := range days {
		if d.Hits < 0 || d.Trials < d.Hits || d.Trials > MaxCount {
			return Jump{}, juncture.Errorf(juncture.CodeInvalidRequest, "%d of %d on day %d are not counts", d.Hits, d.Trials, i)
		}
		if i > 0 && !d.At.After(days[i-1].At) {
			return Jump{}, juncture.Errorf(juncture.CodeInvalidRequest, "day %d is not after the one before", i)
		}
		if d.Trials > 0 {
			kept = append(kept, d)
		}
	}
	if len(kept) > set.Days+1 {
		kept = kept[len(kept)-set.Days-1:]
	}
	m := len(kept) - 1
	if m < MinJumpDays {
		return Jump{P: 1, Verdict: VerdictThin, Sentence: "Not enough days yet to know how the share of " + what + " varies."}, nil
	}
	logit := func(d Day) float64 {
		return math.Log((float64(d.Hits) + 0.5) / (float64(d.Trials-d.Hits) + 0.5))
	}
	chance := func(d Day) float64 { return 1/(float64(d.Hits)+0.5) + 1/(float64(d.Trials-d.Hits)+0.5) }
	mean, within := 0.0, 0.0
	var trials, hits int64
	for _, d := range kept[:m] {
		mean += logit(d) / float64(m)
		within += chance(d) / float64(m)
		trials, hits = trials+d.Trials, hits+d.Hits
	}
	spread := 0.0
	for _, d := range kept[:m] {
		spread += (logit(d) - mean) * (logit(d) - mean) / float64(m-1)
	}
	last := kept[m]
	// of the day itself: what days differ by beside chance, and its own chance
	v := max(spread, within) + max(0, chance(last)-within)
	t := (logit(last) - mean) / math.Sqrt(v+max(spread, within)/float64(m))
	j := Jump{Before: float64(hits) / float64(trials), Now: float64(last.Hits) / float64(last.Trials), Verdict: VerdictOK}
	j.P = min(1, 2*distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(m - 1)}.Survival(math.Abs(t)))
	if math.Abs(j.Now-j.Before) >= set.Least {
		j.Verdict = byP(j.P, set.Alpha)
	}
	j.Sentence = percent(j.Now) + " " + what + " on " + date(last.At) + ", " + percent(j.Before) + " in the " + count(float64(m)) + " days before"
	switch j.Verdict {
	case VerdictOK:
		j.Sentence += ": nothing unusual."
	case VerdictWatch:
		j.Sentence += ": unusual."
	default:
		j.Sentence += ": days do not differ by that much; see what changed in the feed."
	}
	return j, nil
}

func date(t time.Time) string { return t.UTC().Format("2 January 2006") }
