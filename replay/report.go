package replay

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// TopSegments is how many segments a report shows.
const TopSegments = 12

// Report is what replays of a log have shown.
type Report struct {
	Name     string // of the file
	Log      *Log
	Batch    int
	Passes   []Pass               // at least one
	Segments experiments.Segments // from the last pass's evidence
}

// Write prints the report. Its figures depend on the log, the seeds and the batch size alone.
func (r *Report) Write(w io.Writer) error {
	b := &strings.Builder{}
	r.head(b)
	if err := r.values(b); err != nil {
		return err
	}
	r.spread(b)
	if err := r.segments(b); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) { // tables pad their last column
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) head(b *strings.Builder) {
	l := r.Log
	goal := "mean of " + l.Columns.Reward + " above 0"
	if l.Money() {
		goal = "mean " + l.Columns.Value
	}
	fmt.Fprintf(b, "Rejection replay of %s: arm %s, value is the %s\n", r.Name, l.Columns.Arm, goal)
	for i, columns := range l.Columns.Layers {
		if len(columns) > 0 {
			fmt.Fprintf(b, "  %s = %s, %s values\n", juncture.Layer(i), strings.Join(columns, "+"), group(l.Values[i]))
		}
	}
	for _, n := range l.Notes {
		fmt.Fprintf(b, "  %s\n", n)
	}
	if l.Warning != "" {
		fmt.Fprintf(b, "  WARNING: %s\n", l.Warning)
	}
	used := r.over(func(p Pass) float64 { return float64(p.Used) })
	fmt.Fprintf(b, "\nrows read %s, replayed %s, used %s a pass (%s), batches of %d, %s\n\n", group(l.Read), group(len(l.Rows)),
		group(int(math.Round(used.mean))), percent(used.mean/float64(len(l.Rows))), r.Batch, r.seeds())
}

func (r *Report) seeds() string {
	first, last := r.Passes[0].Seed, r.Passes[len(r.Passes)-1].Seed
	if len(r.Passes) == 1 {
		return fmt.Sprintf("seed %d", first)
	}
	return fmt.Sprintf("seeds %d to %d", first, last)
}

// line of the table of values.
type line struct {
	name string
	interval
	rows int
}

func (r *Report) values(b *strings.Builder) error {
	lines := r.lines()
	policy, sure := lines[0].mean, r.sure()
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tVALUE\tLOW\tHIGH\tROWS\tPOLICY'S LIFT\t")
	for i, x := range lines {
		lift := ""
		if i > 0 && x.mean > 0 && sure {
			lift = fmt.Sprintf("%+.1f%%", 100*(policy/x.mean-1))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t\n", x.name, r.figure(x.mean), r.figure(x.low), r.figure(x.high), group(x.rows), lift)
	}
	return w.Flush()
}

// leastWins is the successes of a pass below which no lift is shown (statistics E.3).
const leastWins = 20

func (r *Report) sure() bool {
	return r.over(func(p Pass) float64 { return float64(p.Wins) }).mean >= leastWins
}

// lines are the policy, uniform, and each arm by value.
func (r *Report) lines() []line {
	policy := line{name: "policy", rows: int(math.Round(r.over(func(p Pass) float64 { return float64(p.Used) }).mean))}
	n := float64(policy.rows)
	gain := r.over(func(p Pass) float64 { return p.Mean() })
	if r.Log.Money() {
		sq := r.over(func(p Pass) float64 { return p.GainSq / max(1, float64(p.Used)) })
		policy.interval = normal(gain.mean*n, sq.mean*n, n)
	} else {
		policy.interval = wilson(gain.mean*n, n)
	}
	all := Pass{}
	arms := make([]Pass, len(r.Log.Arms))
	for i := range r.Log.Rows {
		row := &r.Log.Rows[i]
		g := r.Log.gain(row)
		all.see(0, 0, row.Reward, g)
		arms[row.Arm].see(0, 0, row.Reward, g)
	}
	single := make([]line, len(arms))
	for i, p := range arms {
		single[i] = line{r.Log.Arms[i].Label, r.interval(p), p.Used}
	}
	slices.SortStableFunc(single, func(a, b line) int {
		switch {
		case a.mean > b.mean:
			return -1
		case a.mean < b.mean:
			return 1
		}
		return 0
	})
	return append([]line{policy, {"uniform", r.interval(all), all.Used}}, single...)
}

func (r *Report) interval(p Pass) interval {
	if r.Log.Money() {
		return normal(p.Gain, p.GainSq, float64(p.Used))
	}
	return wilson(float64(p.Wins), float64(p.Used))
}

// moments of a figure over the passes.
type moments struct{ mean, sd, least, most float64 }

func (r *Report) over(f func(Pass) float64) moments {
	m := moments{least: math.Inf(1), most: math.Inf(-1)}
	n := float64(len(r.Passes))
	for _, p := range r.Passes {
		v := f(p)
		m.mean += v / n
		m.least, m.most = min(m.least, v), max(m.most, v)
	}
	for _, p := range r.Passes {
		d := f(p) - m.mean
		m.sd += d * d / max(1, n-1)
	}
	m.sd = math.Sqrt(m.sd)
	return m
}

func (r *Report) spread(b *strings.Builder) {
	kind := "Wilson"
	if r.Log.Money() {
		kind = "normal"
	}
	fmt.Fprintf(b, "\n95%% intervals, %s. The policy's is the sampling error of one pass; its learning is in its value.\n", kind)
	if len(r.Passes) > 1 {
		m := r.over(Pass.Mean)
		fmt.Fprintf(b, "Over the %d seeds (order of rows and draws alone) its value has a standard deviation of %s, from %s to %s.\n",
			len(r.Passes), r.figure(m.sd), r.figure(m.least), r.figure(m.most))
	}
	if !r.sure() {
		fmt.Fprintf(b, "A pass has under %d successes: too little was learnt, and no lift is shown.\n", leastWins)
	}
	fmt.Fprintf(b, "The best single arm is known only in hindsight: with noise its value here is too high.\n")
}

func (r *Report) segments(b *strings.Builder) error {
	fmt.Fprintf(b, "\nWinners of the last pass, seed %d: the %d segments with the most rows used, of %d\n\n",
		r.Passes[len(r.Passes)-1].Seed, len(r.Segments.Rows), r.Segments.Total)
	labels := map[string]string{}
	for _, a := range r.Log.Arms {
		labels[a.ID] = a.Label
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEGMENT\tROWS\tLEADER\tVALUE\tLOW\tHIGH\tP(BEST)\tSTATE")
	for _, s := range r.Segments.Rows {
		name := strings.TrimPrefix(s.Key, "v1/")
		if s.Winner == nil {
			fmt.Fprintf(w, "%s\t%d\t\t\t\t\t\t%s\n", name, s.Trials, s.State)
			continue
		}
		e := s.Winner
		value, low, high := percent(e.Mean), percent(e.Low), percent(e.High)
		if r.Log.Money() {
			value, low, high = r.figure(e.Value), "", "" // the interval is of the rate
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%.3f\t%s\n", name, group(int(s.Trials)), labels[e.Action], value, low, high, e.PBest, s.State)
	}
	return w.Flush()
}

// figure writes a value: a share, or an amount.
func (r *Report) figure(v float64) string {
	if r.Log.Money() {
		return strconv.FormatFloat(v, 'f', 4, 64)
	}
	return percent(v)
}

func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 2, 64) + "%" }

// group writes a count with commas.
func group(n int) string { return experiments.Count(int64(n)) }
