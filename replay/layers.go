package replay

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/juncture/juncture"
)

const (
	mostNumbers = 12 // distinct numbers in a column; more are cut into quartiles
	mostText    = 16 // bytes kept of a column's value
	mostValues  = 100_000
)

// layer makes a layer's value for each row out of its columns, nil for a layer without columns.
func (l *Log) layer(layer juncture.Layer, columns [][]string) ([]string, error) {
	if len(columns) == 0 {
		return nil, nil
	}
	out := make([]string, len(columns[0]))
	for k, column := range columns {
		name := l.Columns.Layers[layer][k]
		values := column
		if cuts := quartiles(column); cuts != nil {
			values = make([]string, len(column))
			for i, v := range column {
				values[i] = band(v, cuts)
			}
			l.Notes = append(l.Notes, fmt.Sprintf("%s: %s holds over %d numbers, cut into quartiles at %g, %g and %g (q1 is up to %g)",
				layer, name, mostNumbers, cuts[0], cuts[1], cuts[2], cuts[0]))
		}
		names := newSlugs(mostText - 1) // and the dot
		for _, v := range slices.Compact(slices.SortedFunc(slices.Values(values), natural)) {
			if strings.TrimSpace(v) != "" {
				names.of(v) // in order: which of two equal names gets a number does not depend on the rows' order
			}
		}
		for i, v := range values {
			part := juncture.Unknown
			if strings.TrimSpace(v) != "" {
				part = names.of(v)
			}
			if k > 0 {
				part = out[i] + "." + part
			}
			out[i] = part
		}
	}
	distinct := map[string]struct{}{}
	for _, v := range out {
		distinct[v] = struct{}{}
	}
	if l.Values[layer] = len(distinct); len(distinct) > mostValues {
		return nil, fmt.Errorf("--layers: %s would have %d values; at most %d: choose fewer or broader columns", layer, len(distinct), mostValues)
	}
	return out, nil
}

// quartiles returns the three cuts of a column that holds nothing but numbers (or nothing), and more than mostNumbers
// different ones; nil for any other. A cut is the largest value of its quarter of the rows.
func quartiles(column []string) []float64 {
	var numbers []float64
	for _, text := range column {
		if strings.TrimSpace(text) == "" {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !finite(v) {
			return nil
		}
		numbers = append(numbers, v)
	}
	slices.Sort(numbers)
	if len(slices.Compact(slices.Clone(numbers))) <= mostNumbers {
		return nil
	}
	n := len(numbers)
	return []float64{numbers[(n-1)/4], numbers[(n-1)/2], numbers[3*(n-1)/4]}
}

// band is q1 to q4, "" where there is no number.
func band(text string, cuts []float64) string {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		return ""
	}
	q := 1
	for _, c := range cuts {
		if v > c {
			q++
		}
	}
	return "q" + strconv.Itoa(q)
}
