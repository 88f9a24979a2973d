package evaluate

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/juncture/juncture/experiments/offpolicy"
)

// TableColumns says which columns of somebody else's log mean what.
type TableColumns struct {
	Reward     string
	Propensity string // the probability with which the log drew the arm
	Arm        string // empty: no model, and no doubly robust figure
	Shopper    string // whose rows may depend on one another; empty: none do

	// Target is the column with the target's probability: of the log, where it is that of the arm that was shown, or of
	// Targets, found by On. A name in braces stands for what the log has in that column: p_position_{position}. Uniform
	// asks for every arm alike.
	Target string
	On     []string // columns of both
}

// TargetUniform is the target that shows every arm of the log alike.
const TargetUniform = "uniform"

// Table is what a log of columns says of one target.
type Table struct {
	Rows     int                `json:"rows"`
	Arms     int                `json:"arms"` // 0: their column is not known
	Modelled bool               `json:"modelled"`
	Log      offpolicy.Figure   `json:"log"` // what was earned
	Estimate offpolicy.Estimate `json:"estimate"`
}

// ReadTable reads a log of one row a decision, CSV with a header, gzipped or not, in the order of time, and what a target
// policy would have earned on it. targets may be nil. All of both is in memory.
//
// The model is an arm's mean reward so far, drawn to that of all by 20 rows.
func ReadTable(log, targets io.Reader, c TableColumns) (*Table, error) {
	rows, err := readSheet(log, "log")
	if err != nil {
		return nil, err
	}
	t := &tableReader{c: c, log: rows}
	if err := t.find(targets); err != nil {
		return nil, err
	}
	out := &Table{Rows: len(rows.rows), Arms: len(t.arms), Modelled: t.modelled()}
	target, own := offpolicy.New(offpolicy.Settings{}), offpolicy.New(offpolicy.Settings{})
	for i := range rows.rows {
		r, err := t.row(i)
		if err == nil {
			err = target.Add(r)
		}
		if err == nil {
			err = own.Add(offpolicy.Row{Cluster: r.Cluster, Weight: 1, Reward: r.Reward})
		}
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	out.Log, out.Estimate = own.Figures().IPS, target.Estimate()
	return out, nil
}

// sheet is a CSV in memory.
type sheet struct {
	column map[string]int
	rows   [][]string
}

func readSheet(in io.Reader, what string) (*sheet, error) {
	br := bufio.NewReader(in)
	if magic, err := br.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("the %s is not gzip after all: %w", what, err)
		}
		defer z.Close()
		br = bufio.NewReader(z)
	}
	if bom, err := br.Peek(3); err == nil && string(bom) == "\ufeff" {
		_, _ = br.Discard(3) // they were just peeked at
	}
	rows, err := csv.NewReader(br).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("the %s: %w", what, err)
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("the %s has no rows: a header and at least one are needed", what)
	}
	s := &sheet{column: map[string]int{}, rows: rows[1:]}
	for i, name := range rows[0] {
		s.column[name] = i
	}
	return s, nil
}

// need finds a column.
func (s *sheet) need(flag, name, what string) (int, error) {
	i, ok := s.column[name]
	if !ok {
		return 0, fmt.Errorf("%s: the %s has no column %q", flag, what, name)
	}
	return i, nil
}

// tableReader makes rows of a log.
type tableReader struct {
	c                  TableColumns
	log, targets       *sheet
	reward, propensity int
	arm, shopper       int                 // -1: no such column
	on                 []int               // of the log
	found              map[string][]string // targets by what they are found by
	arms               []string            // in order of sight, where they are known
	rewards, shown     map[string]float64
	total              float64
	n                  float64
}

func (t *tableReader) find(targets io.Reader) (err error) {
	c := &t.c
	t.arm, t.shopper, t.rewards, t.shown = -1, -1, map[string]float64{}, map[string]float64{}
	if t.reward, err = t.log.need("--reward", c.Reward, "log"); err != nil {
		return err
	}
	if t.propensity, err = t.log.need("--propensity", c.Propensity, "log"); err != nil {
		return err
	}
	if c.Shopper != "" {
		if t.shopper, err = t.log.need("--shopper", c.Shopper, "log"); err != nil {
			return err
		}
	}
	if c.Arm != "" {
		if t.arm, err = t.log.need("--arm", c.Arm, "log"); err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, r := range t.log.rows {
			if a := r[t.arm]; !seen[a] {
				seen[a] = true
				t.arms = append(t.arms, a)
			}
		}
		slices.Sort(t.arms)
	}
	if c.Target == "" {
		return errors.New("--target: the column of the target's probability, or uniform")
	}
	if c.Target == TargetUniform {
		if t.arm < 0 {
			return errors.New("--target uniform needs --arm")
		}
		return nil
	}
	if targets == nil {
		_, err = t.log.need("--target", c.Target, "log")
		return err
	}
	if t.targets, err = readSheet(targets, "targets"); err != nil {
		return err
	}
	if len(c.On) == 0 {
		return errors.New("--targets needs --on: the columns by which a row of the log finds its own")
	}
	t.found = map[string][]string{}
	var theirs []int
	for _, name := range c.On {
		i, err := t.log.need("--on", name, "log")
		if err != nil {
			return err
		}
		j, err := t.targets.need("--on", name, "file of targets")
		if err != nil {
			return err
		}
		t.on, theirs = append(t.on, i), append(theirs, j)
	}
	for _, r := range t.targets.rows {
		key := t.key(r, theirs, "")
		if _, twice := t.found[key]; twice {
			return fmt.Errorf("--targets: two rows for %s", strings.ReplaceAll(key, "\x00", ", "))
		}
		t.found[key] = r
		if i := slices.Index(c.On, c.Arm); i >= 0 && !slices.Contains(t.arms, r[theirs[i]]) {
			t.arms = append(t.arms, r[theirs[i]]) // what the target shows and the log never did
		}
	}
	return nil
}

// key is what a row is found by; arm, where it is not empty, stands in for the row's own.
func (t *tableReader) key(r []string, columns []int, arm string) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		if parts[i] = r[c]; arm != "" && t.c.On[i] == t.c.Arm {
			parts[i] = arm
		}
	}
	return strings.Join(parts, "\x00")
}

// modelled reports whether the target's probability of every arm is known.
func (t *tableReader) modelled() bool {
	return t.arm >= 0 && (t.c.Target == TargetUniform || t.targets != nil && slices.Contains(t.c.On, t.c.Arm))
}

// probability is the target's of an arm at a row; of the arm that was shown where arm is empty.
func (t *tableReader) probability(r []string, arm string) (float64, error) {
	switch {
	case t.c.Target == TargetUniform:
		return 1 / float64(len(t.arms)), nil
	case t.targets == nil:
		return number("target", r[t.log.column[t.c.Target]], 0, 1)
	}
	name := t.c.Target
	for {
		before, rest, ok := strings.Cut(name, "{")
		if !ok {
			break
		}
		column, after, ok := strings.Cut(rest, "}")
		if !ok {
			return 0, fmt.Errorf("--target %q: a brace is not closed", t.c.Target)
		}
		i, err := t.log.need("--target", column, "log")
		if err != nil {
			return 0, err
		}
		name = before + r[i] + after
	}
	j, err := t.targets.need("--target", name, "file of targets")
	if err != nil {
		return 0, err
	}
	row, ok := t.found[t.key(r, t.on, arm)]
	if !ok {
		return 0, nil // not named: never shown
	}
	return number("target", row[j], 0, 1)
}

func number(what, text string, low, high float64) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(v >= low && v <= high) {
		return 0, fmt.Errorf("%s %.40q is not a number from %g to %g", what, text, low, high)
	}
	return v, nil
}

// shrinkage is what the mean of all weighs in an arm's, in rows.
const shrinkage = 20

func (t *tableReader) predict(arm string) float64 {
	rate := 0.0
	if t.n > 0 {
		rate = t.total / t.n
	}
	return (t.rewards[arm] + shrinkage*rate) / (t.shown[arm] + shrinkage)
}

// row is the i-th row, its model made from those before.
func (t *tableReader) row(i int) (out offpolicy.Row, err error) {
	r := t.log.rows[i]
	if out.Reward, err = number("reward", r[t.reward], -math.MaxFloat64, math.MaxFloat64); err != nil {
		return out, err
	}
	drawn, err := number("propensity", r[t.propensity], 0, 1)
	if err == nil && drawn == 0 {
		err = errors.New("propensity 0: what could not be shown was")
	}
	if err != nil {
		return out, err
	}
	p, err := t.probability(r, "")
	if err != nil {
		return out, err
	}
	out.Weight = p / drawn
	if t.shopper >= 0 {
		out.Cluster = r[t.shopper]
	}
	if t.modelled() {
		out.Served = t.predict(r[t.arm])
		for _, a := range t.arms {
			p, err := t.probability(r, a)
			if err != nil {
				return out, err
			}
			out.Direct += p * t.predict(a)
		}
	}
	if t.arm >= 0 {
		t.rewards[r[t.arm]] += out.Reward
		t.shown[r[t.arm]]++
	}
	t.total += out.Reward
	t.n++
	return out, nil
}

// Write prints the table.
func (t *Table) Write(out io.Writer) error {
	fmt.Fprintf(out, "%d rows", t.Rows)
	if t.Arms > 0 {
		fmt.Fprintf(out, ", %d arms", t.Arms)
	}
	e := &t.Estimate
	fmt.Fprintf(out, "; weights average %.4g, the largest is %.4g, effective rows %.1f\n\n", e.MeanWeight, e.MaxWeight, e.Effective)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tVALUE\tLOW\tHIGH\t")
	line := func(name string, v, low, high float64) {
		fmt.Fprintf(w, "%s\t%.6f\t%.6f\t%.6f\t\n", name, v, low, high)
	}
	line("the log itself", t.Log.Value, t.Log.Low, t.Log.High)
	if e.Refused == "" {
		line("target, IPS", e.IPS.Value, e.IPS.Low, e.IPS.High)
		line("target, SNIPS", e.SNIPS.Value, e.SNIPS.Low, e.SNIPS.High)
		line("target, IPS, weights to 10", e.Clipped.Value, e.Clipped.Low, e.Clipped.High)
		if t.Modelled {
			line("target, DR", e.DR.Value, e.DR.Low, e.DR.High)
			line("target, DR, at any time", e.DR.Value, e.Anytime.Low, e.Anytime.High)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if e.Refused != "" {
		fmt.Fprintf(out, "\nThe target's value is refused: %s.\n", e.Refused)
	}
	for _, n := range e.Warnings {
		fmt.Fprintln(out, "-", n)
	}
	return nil
}
