package replay

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/juncture/juncture"
)

// Row is one logged decision.
type Row struct {
	Line   int // in the file, from 2
	Arm    int // index into Log.Arms
	Layers juncture.LayerValues
	Reward bool
	Value  float64 // money; 0 unless the log has it
}

// Arm is one value of the arm column.
type Arm struct {
	ID    string // the action's id
	Label string // as the file has it
}

// Log is a data set, ready to be replayed.
type Log struct {
	Columns Columns
	Read    int // rows of the file
	Rows    []Row
	Arms    []Arm
	Values  [juncture.LayerCount]int // distinct values of each layer
	Notes   []string                 // what was done to the data, for people
	Warning string                   // the arms' shares are not those of a uniform log; empty: they are
}

// Money reports whether the goal is value, not rate.
func (l *Log) Money() bool { return l.Columns.Value != "" }

// gain is what a row is worth: its value, or 1 for a success.
func (l *Log) gain(r *Row) float64 {
	switch {
	case l.Money():
		return r.Value
	case r.Reward:
		return 1
	}
	return 0
}

// raw is the file as text, checked.
type raw struct {
	lines                     []int
	arms                      []string
	layers                    [juncture.LayerCount][][]string // [layer][column][row]
	rewards, values, propense []float64
}

// Read reads a log: CSV with a header, gzipped or not.
func Read(in io.Reader, c Columns) (*Log, error) {
	br := bufio.NewReader(in)
	if magic, err := br.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("not gzip after all: %w", err)
		}
		defer z.Close()
		br = bufio.NewReader(z)
	}
	if bom, err := br.Peek(3); err == nil && string(bom) == "\ufeff" {
		_, _ = br.Discard(3) // they were just peeked at
	}
	text, err := readRaw(csv.NewReader(br), c)
	if err != nil {
		return nil, err
	}
	return text.log(c)
}

func readRaw(r *csv.Reader, c Columns) (*raw, error) {
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: a header row is needed")
	} else if err != nil {
		return nil, err
	}
	p, err := c.find(slices.Clone(header))
	if err != nil {
		return nil, err
	}
	t := &raw{}
	for l := range t.layers {
		t.layers[l] = make([][]string, len(p.layers[l]))
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		number := func(i int, what, rule string, ok func(float64) bool) float64 {
			if i < 0 || err != nil {
				return 0
			}
			v, bad := strconv.ParseFloat(strings.TrimSpace(record[i]), 64)
			if bad != nil || !ok(v) {
				err = fmt.Errorf("line %d: %s %.40q is not %s", line, what, record[i], rule)
			}
			return v
		}
		t.rewards = append(t.rewards, number(p.reward, "reward", "a number, such as 0 or 1", finite))
		if p.value >= 0 {
			t.values = append(t.values, number(p.value, "value", "an amount of 0 or more", func(v float64) bool { return finite(v) && v >= 0 && v <= juncture.DefaultBound }))
		}
		if p.propensity >= 0 {
			t.propense = append(t.propense, number(p.propensity, "propensity", "a probability above 0", func(v float64) bool { return v > 0 && v <= 1 }))
		}
		if record[p.arm] == "" {
			err = cmp.Or(err, fmt.Errorf("line %d: the arm is empty", line))
		}
		if err != nil {
			return nil, err
		}
		t.lines = append(t.lines, line)
		t.arms = append(t.arms, strings.Clone(record[p.arm]))
		for l, columns := range p.layers {
			for k, i := range columns {
				t.layers[l][k] = append(t.layers[l][k], strings.Clone(record[i]))
			}
		}
	}
	if len(t.arms) == 0 {
		return nil, errors.New("the file has a header and no rows")
	}
	return t, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// log names everything, thins the rows by their propensities and looks at the arms' shares.
func (t *raw) log(c Columns) (*Log, error) {
	l := &Log{Columns: c, Read: len(t.arms)}
	arms := slices.Compact(slices.SortedFunc(slices.Values(t.arms), natural))
	if len(arms) < 2 {
		return nil, fmt.Errorf("column %q has one value, %q: there is nothing to choose between", c.Arm, arms[0])
	}
	if len(arms) > juncture.MaxArmsPerSurface {
		return nil, fmt.Errorf("column %q has %d values; at most %d arms can compete", c.Arm, len(arms), juncture.MaxArmsPerSurface)
	}
	ids, index := newSlugs(juncture.MaxLayerValue), map[string]int{}
	for i, label := range arms {
		index[label] = i
		l.Arms = append(l.Arms, Arm{ID: ids.of(label), Label: label})
	}
	var layers [juncture.LayerCount][]string
	for i, columns := range t.layers {
		var err error
		if layers[i], err = l.layer(juncture.Layer(i), columns); err != nil {
			return nil, err
		}
	}
	keep := l.thin(t.propense)
	for i := range t.arms {
		if !keep(i) {
			continue
		}
		r := Row{Line: t.lines[i], Arm: index[t.arms[i]], Reward: t.rewards[i] > 0}
		if t.values != nil {
			r.Value = t.values[i]
		}
		for k, to := range []*string{&r.Layers.Moment, &r.Layers.Meaning, &r.Layers.Trajectory, &r.Layers.Catalogue} {
			if layers[k] != nil {
				*to = layers[k][i]
			}
		}
		l.Rows = append(l.Rows, r)
	}
	if len(l.Rows) == 0 {
		return nil, errors.New("no row is left after the propensities")
	}
	l.look()
	return l, nil
}

// natural orders numbers by size, before all else, and texts by bytes.
func natural(a, b string) int {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	switch {
	case errX == nil && errY == nil:
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return cmp.Compare(a, b)
}

// thinning seeds the draw that makes a log uniform: the same rows in every pass, wherever it runs.
const thinning = 0x7468696e

// thin keeps a row with probability (least propensity)/(its own), so that every arm of those kept is equally likely.
func (l *Log) thin(propensities []float64) func(int) bool {
	if propensities == nil {
		return func(int) bool { return true }
	}
	least := slices.Min(propensities)
	draw := rand.New(rand.NewPCG(thinning, uint64(len(propensities))))
	kept := make([]bool, len(propensities))
	n := 0
	for i, p := range propensities {
		if kept[i] = draw.Float64()*p < least; !kept[i] {
			n++
		}
	}
	l.Notes = append(l.Notes, fmt.Sprintf("propensities from %.4g to %.4g: %s of %s rows dropped to make the log uniform",
		least, slices.Max(propensities), group(n), group(l.Read)))
	return func(i int) bool { return kept[i] }
}

// look tests the arms' shares against a uniform log's.
func (l *Log) look() {
	counts := make([]float64, len(l.Arms))
	for i := range l.Rows {
		counts[l.Rows[i].Arm]++
	}
	x2, p := uniformity(counts)
	l.Notes = append(l.Notes, fmt.Sprintf("arm shares against uniform: chi-square %.2f with %d degrees of freedom, p = %.3g", x2, len(counts)-1, p))
	if p < 1e-3 {
		l.Warning = "the arms were not drawn uniformly: the values below are biased unless --propensity names the column of their probabilities"
	}
}
