package watch

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/health"
)

// Settings say how far a read-out looks, and how far decisions are read behind the clock. Zero values mean the defaults.
type Settings struct {
	Places int           // at which change-points are looked for, those with the most successes; 0 means 12, less than 0 none
	Lag    time.Duration // how old a decision is when it is folded; 0 means DefaultLag
}

const (
	// DefaultLag is long enough for a mail to be delivered, and for every commit to be done.
	DefaultLag    = time.Hour
	defaultPlaces = 12
	// maxNodes bounds arms × places that are watched for changes: 1,000 take a second or two.
	maxNodes = 1000
)

// LagOf is the lag, its default filled in.
func (s Settings) LagOf() time.Duration { return cmp.Or(s.Lag, DefaultLag) }

// Source is what a read-out is made from.
type Source struct {
	ID         string
	Experiment *juncture.Experiment   // nil: a holdout
	Shares     []juncture.GroupShares // by phase, the running one last
	Layers     []juncture.Layer       // that a decision may know: under the surface's ceiling
	Outcomes   []juncture.OutcomeType
	Arms       map[juncture.ArmID]experiments.ArmInfo
	State      State
	AsOf       time.Time
	Settings   Settings
	Names      experiments.Names

	// Cells calls a function for every intersection, with its buckets merged as of AsOf, and stops at its error. It is
	// called once or twice.
	Cells func(f func(*juncture.Cell) error) error
}

// Health is whether an experiment's numbers may be believed.
type Health struct {
	ID        string         `json:"id"`
	Holdout   bool           `json:"holdout"` // a holdout above experiments
	AsOf      time.Time      `json:"asOf"`
	State     health.Verdict `json:"state"`     // ok, watch or mismatch: the worst of all checks
	Sentences []string       `json:"sentences"` // what speaks against the numbers, the most severe first
	Excluded  int64          `json:"excluded"`  // shoppers taken out as bots or staff
	Removed   int64          `json:"removed"`   // trials taken out with them
	Checks    []Check        `json:"checks"`
}

// Check is one check. What it found stands in one of the fields after the sentence.
type Check struct {
	Name     string         `json:"name"`  // for programs: one of few
	Title    string         `json:"title"` // for people
	Verdict  health.Verdict `json:"verdict"`
	Sentence string         `json:"sentence"`

	Ratio   *health.Ratio     `json:"ratio,omitempty"`
	Rates   *health.RateCheck `json:"rates,omitempty"`
	Jump    *health.Jump      `json:"jump,omitempty"`
	Entropy []EntropyRead     `json:"entropy,omitempty"`
	Changes []health.Alarm    `json:"changes,omitempty"`
}

// EntropyRead is one day's entropy as people read it.
type EntropyRead struct {
	Day       string  `json:"day"`
	Decisions int64   `json:"decisions"`
	Mean      float64 `json:"mean"`
	Bound     float64 `json:"bound"`
	Spread    float64 `json:"spread"`
}

// Build reads an experiment's, or a holdout's, health. Only a check that says that shoppers, draws or filters are not what
// they should be, or that the floor was not kept, makes a mismatch; what the world or the shop may have changed by itself
// (late outcomes, join rates, unknown layers, collapse, change-points) is to be watched at most.
func Build(src Source) (Health, error) {
	b := builder{src: src, sums: newSums(src)}
	b.out = Health{ID: src.ID, Holdout: src.Experiment == nil, AsOf: src.AsOf, State: health.VerdictOK, Sentences: []string{}, Checks: []Check{}}
	if err := src.Cells(func(c *juncture.Cell) error { b.sums.add(c); return nil }); err != nil {
		return b.out, err
	}
	for _, step := range []func() error{b.groups, b.filters, b.draws, b.entropy, b.late, b.joins, b.joined, b.unknown, b.changes} {
		if err := step(); err != nil {
			return b.out, err
		}
	}
	b.conclude()
	return b.out, nil
}

type builder struct {
	src  Source
	sums *sums
	out  Health
}

// conclude takes the worst verdict, and says what made it.
func (b *builder) conclude() {
	thin := true
	for _, v := range []health.Verdict{health.VerdictMismatch, health.VerdictWatch} {
		for _, c := range b.out.Checks {
			thin = thin && c.Verdict == health.VerdictThin
			if c.Verdict != v {
				continue
			}
			if b.out.State == health.VerdictOK {
				b.out.State = v
			}
			b.out.Sentences = append(b.out.Sentences, c.Title+": "+c.Sentence)
		}
	}
	switch {
	case len(b.out.Sentences) > 0:
	case thin:
		b.out.Sentences = append(b.out.Sentences, "Not enough data yet to say anything against the numbers.")
	default:
		b.out.Sentences = append(b.out.Sentences, "Nothing speaks against the numbers.")
	}
}

// most is a verdict that is a watch at most.
func most(v health.Verdict) health.Verdict {
	if v == health.VerdictMismatch {
		return health.VerdictWatch
	}
	return v
}

func (b *builder) rates(name, title string, r health.RateCheck, more string) {
	if r.Verdict == health.VerdictWatch || r.Verdict == health.VerdictMismatch {
		r.Sentence += more
	}
	b.out.Checks = append(b.out.Checks, Check{Name: name, Title: title, Verdict: r.Verdict, Sentence: r.Sentence, Rates: &r})
}

func groups() []juncture.Group {
	return []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom, juncture.GroupBAU, juncture.GroupHoldout}
}

// groups checks who was enrolled in which group, by phase: as they were drawn, and as they are left by merges and
// exclusions.
func (b *builder) groups() error {
	for _, of := range []struct {
		name, title string
		n           func(enrolled) int64
	}{
		{"groups", "Shoppers by group, as drawn", func(e enrolled) int64 { return e.Enrolled + e.Merged + e.Excluded }},
		{"groups-kept", "Shoppers by group, after merges and exclusions", func(e enrolled) int64 { return e.Enrolled }},
	} {
		var phases []health.Ratio
		for i, shares := range b.src.Shares {
			var rows []health.Count
			for _, g := range groups() {
				if n := max(0, of.n(b.sums.enrolled[phaseGroup{i, g}])); n > 0 || shares.Share(g) > 0 {
					rows = append(rows, health.Count{Label: g.String(), Observed: n, Share: shares.Share(g)})
				}
			}
			if len(rows) < 2 {
				continue // one group has everybody
			}
			r, err := health.Multinomial(rows, health.Alpha)
			if err != nil {
				return err
			}
			phases = append(phases, r)
		}
		if len(phases) == 0 {
			continue
		}
		r, err := health.Combine(phases, health.Alpha)
		if err != nil {
			return err
		}
		b.out.Checks = append(b.out.Checks, Check{Name: of.name, Title: of.title, Verdict: r.Verdict, Sentence: r.Sentence, Ratio: &r})
	}
	return nil
}

// filters checks that merges and exclusions took the same share of every group. By arm it is the trials of the random
// group, which are drawn evenly; those of one bot hang together, so that it is rough and to be watched at most.
func (b *builder) filters() error {
	var merged, excluded []health.Rate
	for _, g := range groups() {
		var e enrolled
		for i := range b.src.Shares {
			e = e.plus(b.sums.enrolled[phaseGroup{i, g}])
		}
		all := max(0, e.Enrolled) + max(0, e.Merged) + max(0, e.Excluded)
		b.out.Excluded += max(0, e.Excluded)
		if all > 0 {
			merged = append(merged, health.Rate{Label: g.String(), Trials: all, Hits: max(0, e.Merged)})
			excluded = append(excluded, health.Rate{Label: g.String(), Trials: all, Hits: max(0, e.Excluded)})
		}
	}
	for _, f := range []struct {
		name, title string
		rows        []health.Rate
	}{{"merges", "Shoppers who proved to be somebody enrolled earlier, by group", merged}, {"exclusions", "Shoppers taken out as bots or staff, by group", excluded}} {
		if len(f.rows) < 2 {
			continue
		}
		r, err := health.SameRate(f.rows, health.Alpha)
		if err != nil {
			return err
		}
		b.rates(f.name, f.title, r, "")
	}
	var removed []health.Rate
	for _, id := range sortedArms(b.sums.random) {
		a := b.sums.random[id]
		if all := a.trials + a.removed; all > 0 {
			removed = append(removed, health.Rate{Label: b.arm(id), Trials: all, Hits: a.removed})
		}
	}
	b.out.Removed = b.sums.removed
	if len(removed) < 2 {
		return nil
	}
	r, err := health.SameRate(removed, health.Alpha)
	if err != nil {
		return err
	}
	r.Verdict = most(r.Verdict)
	b.rates("removed-trials", "Trials taken out with their shopper, by arm of the random group", r, " It is rough: the trials of one bot hang together.")
	return nil
}

func (b *builder) arm(id juncture.ArmID) string {
	if a, ok := b.src.Arms[id]; ok {
		return a.Arm.String()
	}
	return "arm " + strconv.Itoa(int(id))
}

// draws checks arms against the probabilities that were logged.
func (b *builder) draws() error {
	if b.src.Experiment == nil {
		return nil
	}
	r, err := b.src.State.Draws.Ratio(health.Alpha, b.arm)
	if err != nil {
		return err
	}
	if r.Rows == nil {
		r.Rows = []health.RatioRow{}
	}
	c := Check{Name: "draws", Title: "Arms against their logged probabilities", Verdict: r.Verdict, Sentence: r.Sentence, Ratio: &r}
	if n := b.src.State.Unreadable; n > 0 {
		c.Verdict, c.Sentence = health.VerdictMismatch, experiments.Count(n)+" decisions have probabilities that are none. "+c.Sentence
	}
	b.out.Checks = append(b.out.Checks, c)
	return nil
}

// entropy judges the last full day that was read. A collapse is no error where one arm is best everywhere.
func (b *builder) entropy() error {
	c := Check{Name: "entropy", Title: "How widely the policy chooses"}
	for _, d := range b.src.State.Days {
		r := d.Read()
		c.Entropy = append(c.Entropy, EntropyRead{d.Day.Format(time.DateOnly), d.Decisions, r.Mean, r.Bound, r.Spread})
		if c.Sentence != "" && d.Day.Add(day).After(b.src.AsOf.Add(-b.src.Settings.LagOf())) {
			continue // not all of it was read; a first day is better than none
		}
		c.Verdict, c.Sentence = r.Verdict, r.Sentence
		if r.Mean >= r.Bound-1e-4 { // the floor was kept
			c.Verdict = most(r.Verdict)
		}
	}
	if len(c.Entropy) > 0 {
		b.out.Checks = append(b.out.Checks, c)
	}
	return nil
}

func (b *builder) late() error {
	if b.src.Experiment == nil {
		return nil
	}
	r, err := health.Late(b.sums.late, max(b.sums.late, b.sums.all), 0)
	if err != nil {
		return err
	}
	b.rates("late", "Outcomes after their window", r, "")
	return nil
}

// joinTolerance is by how much the join rate of a group or arm may differ from the pooled one: from half to double. A better arm has
// more outcomes, a broken page a fraction.
const joinTolerance = 1

// joins compares the share of trials with an outcome with the pooled share, by group and by arm. Arms differ in what they
// earn, so this is rough: it finds what is under half or over double, and is to be watched at most.
func (b *builder) joins() error {
	if b.src.Experiment == nil {
		return nil
	}
	check := func(name, title, outcome string, rows []health.Rate) error {
		var trials, hits int64
		for _, r := range rows {
			trials, hits = trials+r.Trials, hits+r.Hits
		}
		if len(rows) < 2 || hits == 0 {
			return nil
		}
		for i := range rows {
			rows[i].Expected = float64(hits) / float64(trials)
		}
		r, err := health.AgainstExpected(rows, joinTolerance, health.Alpha)
		if err != nil {
			return err
		}
		r.Verdict = most(r.Verdict)
		b.rates(name, title+" ("+outcome+")", r, " It is rough: what is expected is what all have.")
		return nil
	}
	if outcome := b.sums.commonest(b.src.Outcomes, juncture.OutcomeType.Everywhere); outcome != "" { // what a holdout has too
		var rows []health.Rate
		for _, g := range groups() {
			if t := b.sums.groups[g]; t != nil && t.trials > 0 {
				rows = append(rows, health.Rate{Label: g.String(), Trials: t.trials, Hits: min(t.trials, t.by[outcome])})
			}
		}
		if err := check("joins-by-group", "Trials with an outcome, by group", outcome, rows); err != nil {
			return err
		}
	}
	outcome := b.sums.commonest(b.src.Outcomes, func(juncture.OutcomeType) bool { return true })
	var rows []health.Rate
	for _, id := range sortedArms(b.sums.arms) {
		if t := b.sums.arms[id]; t.trials > 0 {
			rows = append(rows, health.Rate{Label: b.arm(id), Trials: t.trials, Hits: min(t.trials, t.by[outcome])})
		}
	}
	return check("joins-by-arm", "Trials with an outcome, by arm", outcome, rows)
}

// joined compares the last day whose window has closed with the days before it: rewards that stop to arrive, or to find
// their decisions.
func (b *builder) joined() error {
	if b.src.Experiment == nil {
		return nil
	}
	outcome := b.sums.commonest(b.src.Outcomes, func(juncture.OutcomeType) bool { return true })
	if outcome == "" {
		return nil
	}
	window := time.Duration(b.src.Experiment.Goal.Window)
	if i := slices.IndexFunc(b.src.Outcomes, func(o juncture.OutcomeType) bool { return o.Name == outcome && o.Window != 0 }); i >= 0 {
		window = time.Duration(b.src.Outcomes[i].Window)
	}
	return b.jump("joined", "Trials with an outcome, by day", "trials with "+outcome, window, func(d *dayCount) int64 { return d.by[outcome] })
}

// unknown compares how often each layer was unknown on the last full day with the days before it.
func (b *builder) unknown() error {
	for _, l := range b.src.Layers {
		err := b.jump("unknown-"+l.String(), experiments.AxisTitle(l.String())+" unknown, by day", l.String()+" unknown", 0, func(d *dayCount) int64 { return d.unknown[l] })
		if err != nil {
			return err
		}
	}
	return nil
}

// jump judges the last day that had ended so long ago. It is to be watched at most: the shop's own doings move it too.
func (b *builder) jump(name, title, what string, ended time.Duration, hits func(*dayCount) int64) error {
	var days []health.Day
	var seen int64
	for _, at := range sortedDays(b.sums.days) {
		d := b.sums.days[at]
		if h := hits(d); !time.Unix(at, 0).Add(day + ended).After(b.src.AsOf) {
			days = append(days, health.Day{At: time.Unix(at, 0).UTC(), Trials: d.trials, Hits: min(max(0, h), d.trials)})
			seen += h
		}
	}
	if seen == 0 {
		return nil // never: no share to speak of
	}
	j, err := health.LastDay(what, days, health.JumpSettings{})
	if err != nil {
		return err
	}
	j.Verdict = most(j.Verdict)
	b.out.Checks = append(b.out.Checks, Check{Name: name, Title: title, Verdict: j.Verdict, Sentence: j.Sentence, Jump: &j})
	return nil
}
