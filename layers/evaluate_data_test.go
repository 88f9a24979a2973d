package layers_test

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/juncture/juncture"
)

// data skips unless JUNCTURE_EVALUATE=1 and the data sets are there, and reads one of them as rows of named columns.
func data(t *testing.T, name string) (rows [][]string, column map[string]int) {
	t.Helper()
	if os.Getenv("JUNCTURE_EVALUATE") != "1" {
		t.Skip("set JUNCTURE_EVALUATE=1 to measure the layers on ../../shared/data")
	}
	file, err := os.Open(filepath.Join("..", "..", "shared", "data", filepath.FromSlash(name)))
	if err != nil {
		t.Skip("../../shared/data is not here: ", err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err = csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column = map[string]int{}
	for i, c := range rows[0] {
		column[c] = i
	}
	return rows[1:], column
}

// heldOut splits by id: a third is kept apart for judging, by FNV-1a as in data/README.md, under another prefix.
func heldOut(prefix, id string) bool {
	h := fnv.New64a()
	fmt.Fprintf(h, "held-out:%s:%s", prefix, id)
	return h.Sum64()%3 == 0
}

func number(t *testing.T, v string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(v, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// example is one case to judge.
type example struct {
	x     []float64
	y     bool
	score float64
}

// auc is the probability that a positive scores above a negative, ties counting half.
func auc(cases []example) float64 {
	sorted := slices.Clone(cases)
	slices.SortFunc(sorted, func(a, b example) int { return cmp.Compare(a.score, b.score) })
	var ranks, pos, neg float64
	for i := 0; i < len(sorted); {
		j := i
		for j < len(sorted) && sorted[j].score == sorted[i].score {
			j++
		}
		for _, c := range sorted[i:j] {
			if c.y {
				pos++
				ranks += float64(i+j+1) / 2
			} else {
				neg++
			}
		}
		i = j
	}
	return (ranks - pos*(pos+1)/2) / (pos * neg)
}

func brier(cases []example) float64 {
	sum := 0.0
	for _, c := range cases {
		y := 0.0
		if c.y {
			y = 1
		}
		sum += (c.score - y) * (c.score - y)
	}
	return sum / float64(len(cases))
}

func rate(cases []example) float64 {
	n := 0.0
	for _, c := range cases {
		if c.y {
			n++
		}
	}
	return n / float64(len(cases))
}

// interval is a 95% bootstrap interval of a statistic, by 500 seeded resamples.
func interval(cases []example, statistic func([]example) float64) [2]float64 {
	r := rand.New(rand.NewPCG(1, 2))
	var got []float64
	again := make([]example, len(cases))
	for range 500 {
		for i := range again {
			again[i] = cases[r.IntN(len(cases))]
		}
		got = append(got, statistic(again))
	}
	slices.Sort(got)
	return [2]float64{got[12], got[487]}
}

// logistic fits intercept and slopes by penalised maximum likelihood (ridge of 1 on slopes) with Newton's method, 25
// steps (McCullagh and Nelder 1989, section 2.5).
func logistic(t *testing.T, cases []example) []float64 {
	t.Helper()
	n := len(cases[0].x) + 1
	b := make([]float64, n)
	row := make([]float64, n)
	for range 25 {
		hess, grad := mat.NewSymDense(n, nil), make([]float64, n)
		for _, c := range cases {
			p := 1 / (1 + math.Exp(-linear(b, c.x)))
			row[0] = 1
			copy(row[1:], c.x)
			r := p
			if c.y {
				r--
			}
			for i := range n {
				grad[i] += r * row[i]
				for j := i; j < n; j++ {
					hess.SetSym(i, j, hess.At(i, j)+p*(1-p)*row[i]*row[j])
				}
			}
		}
		for i := 1; i < n; i++ {
			grad[i] += b[i]
			hess.SetSym(i, i, hess.At(i, i)+1)
		}
		var ch mat.Cholesky
		var step mat.VecDense
		if !ch.Factorize(hess) {
			t.Fatal("the fit is singular")
		}
		if err := ch.SolveVecTo(&step, mat.NewVecDense(n, grad)); err != nil {
			t.Fatal(err)
		}
		for i := range b {
			b[i] -= step.AtVec(i)
		}
	}
	return b
}

func linear(b, x []float64) float64 {
	z := b[0]
	for j, v := range x {
		z += b[j+1] * v
	}
	return z
}

// monthOf reads the months of the session data: "Feb", "June", ...
func monthOf(v string) time.Month {
	for m := time.January; m <= time.December; m++ {
		if m.String()[:3] == v[:3] {
			return m
		}
	}
	return time.January
}

// sourceOf is the data's kind of traffic, a number, as where the visit came from.
func sourceOf(row []string, column map[string]int) string {
	return "traffic " + row[column["TrafficType"]]
}

// sessionEvents turns a row of online_shoppers_intention into the events that it summarises: so many account pages,
// articles and product views, interleaved and spread evenly over their time. The data have no times within a month: the
// visit is on the 15th at noon. A returning visitor has one page view a week before.
func sessionEvents(t *testing.T, row []string, column map[string]int) []juncture.Event {
	get := func(c string) float64 { return number(t, row[column[c]]) }
	start := time.Date(2024, monthOf(row[column["Month"]]), 15, 12, 0, 0, 0, time.UTC)
	id := row[column["row_id"]]
	var events []juncture.Event
	if row[column["VisitorType"]] == "Returning_Visitor" {
		events = append(events, juncture.Event{ID: "before", Kind: juncture.EventPageViewed, At: start.AddDate(0, 0, -7)})
	}
	seconds := 0.0
	type page struct {
		kind juncture.EventKind
		when float64 // share of the visit
	}
	var pages []page
	for _, c := range []struct {
		name string
		kind juncture.EventKind
	}{{"Administrative", juncture.EventPageViewed}, {"Informational", juncture.EventArticleViewed}, {"ProductRelated", juncture.EventProductViewed}} {
		n := int(get(c.name))
		seconds += max(get(c.name+"_Duration"), 0)
		for i := range n {
			pages = append(pages, page{c.kind, (float64(i) + 0.5) / float64(n)})
		}
	}
	if len(pages) == 0 { // a few rows count no page at all: the visit itself was one
		pages = append(pages, page{juncture.EventPageViewed, 0})
	}
	slices.SortStableFunc(pages, func(a, b page) int { return cmp.Compare(a.when, b.when) })
	for i, p := range pages {
		e := juncture.Event{ID: fmt.Sprint(id, "-", i), Kind: p.kind, Session: id,
			At: start.Add(time.Duration(float64(i) / float64(len(pages)) * seconds * float64(time.Second))).Truncate(time.Millisecond)}
		if p.kind == juncture.EventProductViewed {
			e.Lines = []juncture.Line{{Product: fmt.Sprint("p", i), Quantity: 1}}
		}
		if i == 0 {
			e.Source = sourceOf(row, column)
		}
		events = append(events, e)
	}
	return events
}
