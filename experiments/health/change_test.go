package health

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

func day(i int) time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, i) }

const oneDay = 24 * time.Hour

func detector(t testing.TB, set ChangeSettings) *Detector {
	t.Helper()
	d, err := NewDetector("Free delivery for cart abandoned", set)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The mean over the prior, against Simpson's rule on the likelihood itself; the top, against a search.
func TestLikelihoodOfAStretch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []thinned
		var to sums
		for range rapid.IntRange(1, 8).Draw(t, "buckets") {
			size := math.Pow(10, rapid.Float64Range(0, 4).Draw(t, "size"))
			x := thinned{math.Round(size * rapid.Float64Range(0.4, 1.6).Draw(t, "luck")), math.Round(3 * size), size, 3 * size}
			if rapid.Bool().Draw(t, "alone") {
				x.others, x.f = 0, 0
			}
			list = append(list, x)
			to.successes += int64(x.s)
			to.weight += x.s
			for g := range to.grid {
				for k, v := range x.slopes(gridStep*float64(g) - gridEdge) {
					to.grid[g][k] += v
				}
			}
		}
		logL := func(x float64) float64 {
			l := 0.0
			for _, i := range list {
				l += i.log(x)
			}
			return l
		}
		r := stretch{&sums{}, &to}
		top, at := r.top()
		tolerance := 0.002 + 1e-7*float64(to.successes) // of the Taylor series, and rounding
		if math.Abs(top-logL(at)) > tolerance || logL(at+0.003) > top+tolerance || logL(at-0.003) > top+tolerance {
			t.Fatalf("top %v at %v; %v there, %v and %v beside", top, at, logL(at), logL(at-0.003), logL(at+0.003))
		}
		want := simpson(func(x float64) float64 { return logL(x) - x*x/(2*ratioPrior*ratioPrior) }, r.peak(1/(ratioPrior*ratioPrior))) -
			math.Log(ratioPrior) - math.Log(2*math.Pi)/2
		if math.Abs(r.mean()-want) > 0.01+tolerance {
			t.Fatalf("mean %v, the integral gives %v", r.mean(), want)
		}
	})
}

// simpson is the log of the integral of exp(f) around a point near its peak, on a fine and on a coarse grid.
func simpson(f func(float64) float64, near float64) float64 {
	const n = 4000
	var logs []float64
	for i := range n + 1 {
		u := float64(i)/n*2 - 1 // cubed: points lie dense near the peak
		x := near + 6*u*u*u
		w := 2.0 * float64(1+i%2)
		if i == 0 || i == n {
			w = 1
		}
		if u != 0 {
			logs = append(logs, f(x)+math.Log(w*18*u*u))
		} else {
			logs = append(logs, math.Inf(-1))
		}
	}
	return logMeanExp(logs) + math.Log(float64(len(logs))*2/n/3)
}

// slopes are the derivatives of what log takes away.
func TestThinnedSlopes(t *testing.T) {
	for _, x := range []thinned{{12, 30, 11, 29}, {5, 0, 7, 0}} {
		for _, at := range []float64{-2, -0.3, 0, 0.7, 2.2} {
			const h = 1e-4
			a := func(y float64) float64 { return x.s*y - x.log(y) }
			v := x.slopes(at)
			near(t, "level", v[0], a(at), 1e-9+1e-12/math.Abs(a(at)+1e-300))
			near(t, "slope", v[1], (a(at+h)-a(at-h))/(2*h), 1e-5)
			near(t, "curve", v[2], (a(at+h)-2*a(at)+a(at-h))/(h*h), 1e-4)
			up, down := x.slopes(at+h), x.slopes(at-h)
			if third := (up[2] - down[2]) / (2 * h); math.Abs(v[3]-third) > 1e-4*(1+math.Abs(third)) {
				t.Errorf("third derivative %v, want %v", v[3], third)
			}
		}
	}
}

// Without luck: 40 successes of 1,000 a day until day 60, 24 since. Nothing is said before, and what is said is the truth.
func TestDetectorSaysWhatChanged(t *testing.T) {
	d := detector(t, ChangeSettings{Nodes: 100})
	for i := range 120 {
		s := int64(41)
		if i >= 61 { // 3 March 2026
			s = 26
		}
		a, err := d.Add(Increment{At: day(i), Length: oneDay, Trials: 1000, Successes: s, Expected: 0.04, Others: 280, OthersExpected: 280})
		if err != nil {
			t.Fatal(err)
		}
		if a == nil {
			continue
		}
		want := "Free delivery for cart abandoned: 4.1% until about 3 March, 2.6% since."
		if a.Sentence != want || !a.When.Equal(day(61)) || a.Seen.Before(day(62)) || a.Seen.After(day(75)) || a.From != 0.041 || a.To != 0.026 {
			t.Errorf("%+v", a)
		}
		return
	}
	t.Error("no alarm")
}

// A sale that doubles everybody is no change of the arm, and one who does not follow is.
func TestDetectorInASale(t *testing.T) {
	for name, c := range map[string]struct {
		sale   int64 // the arm's successes in it
		alarms bool
	}{"follows": {80, false}, "does not": {40, true}} {
		d := detector(t, ChangeSettings{Nodes: 100})
		found := false
		for i := range 90 {
			x := Increment{At: day(i), Length: oneDay, Trials: 1000, Successes: 40, Expected: 0.04, Others: 280, OthersExpected: 280}
			if i >= 60 {
				x.Successes, x.Others = c.sale, 560
			}
			a, err := d.Add(x)
			if err != nil {
				t.Fatal(err)
			}
			if a != nil {
				found = true
				if !strings.Contains(a.Sentence, "4.0% until about 2 March, 4.0% since, where 8.0% was to be expected.") {
					t.Errorf("%s: %s", name, a.Sentence)
				}
				break
			}
		}
		if found != c.alarms {
			t.Errorf("%s: alarm %v", name, found)
		}
	}
}

// Under 50 expected successes nothing is said, whatever is seen.
func TestDetectorWaits(t *testing.T) {
	d := detector(t, ChangeSettings{Nodes: 1})
	for i := range 40 {
		s := int64(3)
		if i >= 20 {
			s = 0
		}
		a, err := d.Add(Increment{At: day(i), Length: oneDay, Trials: 100, Successes: s, Expected: 0.01})
		if err != nil || a != nil {
			t.Fatalf("40 expected by day %d: %+v, %v", i, a, err)
		}
	}
}

func TestDetectorRefuses(t *testing.T) {
	d := detector(t, ChangeSettings{Nodes: 1})
	sound := Increment{At: day(3), Length: oneDay, Trials: 100, Successes: 3, Expected: 0.03}
	if _, err := d.Add(sound); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Increment){
		"negative":        func(x *Increment) { x.Successes = -1 },
		"over its trials": func(x *Increment) { x.Successes = 101 },
		"huge":            func(x *Increment) { x.Trials = math.MaxInt64 },
		"NaN":             func(x *Increment) { x.Expected = math.NaN() },
		"no expectation":  func(x *Increment) { x.Expected = 0 },
		"others NaN":      func(x *Increment) { x.OthersExpected = math.NaN() },
		"others unasked":  func(x *Increment) { x.Others = 3 },
		"no length":       func(x *Increment) { x.Length = 0 },
		"earlier":         func(x *Increment) { x.At = day(3) },
	} {
		x := sound
		x.At = day(4)
		change(&x)
		_, err := d.Add(x)
		refused(t, name, err)
	}
	if len(d.at) != 1 {
		t.Errorf("%d buckets", len(d.at))
	}
	for _, set := range []ChangeSettings{{}, {Nodes: 1, PerMonth: -1}, {Nodes: 1, Least: math.NaN()}} {
		_, err := NewDetector("x", set)
		refused(t, "settings", err)
	}
}

// Candidates are dropped, counts are not.
func TestDetectorMemoryIsBounded(t *testing.T) {
	d := detector(t, ChangeSettings{Nodes: 1000})
	rng := rand.New(rand.NewPCG(1, 1))
	n, seen := int64(0), 0
	for i := range 1500 {
		s := int64(distuv.Poisson{Lambda: 3, Src: rng}.Rand())
		a, err := d.Add(Increment{At: day(i), Length: oneDay, Trials: 100, Successes: s, Expected: 0.03})
		if err != nil {
			t.Fatal(err)
		}
		n += s
		if a != nil {
			n = 0
			seen++
		}
	}
	if len(d.at) > maxBuckets || len(d.edges) != len(d.at)+1 || d.edges[len(d.at)].successes != n || seen > 0 {
		t.Errorf("%d buckets, %d edges, %d successes of %d, %d alarms", len(d.at), len(d.edges), d.edges[len(d.at)].successes, n, seen)
	}
}

// The sum that alarms is a martingale that begins at the months of a stretch: its mean at the end, or where it is stopped
// because it looks bad, is at most the months looked at.
func TestDetectorsSumIsAMartingale(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	const days = 60
	months := days * float64(oneDay) / float64(month)
	checkMean(t, 400, func() float64 {
		d := detector(t, ChangeSettings{Nodes: 1_000_000, Least: 1})
		last := 0.0
		for i := range days {
			base := 1 + 0.5*math.Sin(float64(i)) // weekdays
			x := Increment{At: day(i), Length: oneDay, Trials: 100, Expected: 0.2, OthersExpected: 40,
				Successes: int64(distuv.Binomial{N: 100, P: 0.16 * base, Src: rng}.Rand()), Others: int64(distuv.Binomial{N: 200, P: 0.2 * base, Src: rng}.Rand())}
			e, err := d.fold(x)
			if err != nil {
				t.Fatal(err)
			}
			if last = math.Exp(e.logM); last > 2 {
				break
			}
		}
		return last / months
	})
}

func TestChangesOfAPlace(t *testing.T) {
	names := []string{"A", "B", "C", "D"}
	var buckets []Bucket
	for i := range 120 {
		b := Bucket{At: day(i), Length: oneDay}
		for k, name := range names {
			rate := []int64{40, 40, 60, 20}[k]
			if i >= 40 && i < 60 {
				rate *= 2 // a sale
			}
			if k == 1 && i >= 70 {
				rate /= 2
			}
			b.Arms = append(b.Arms, Rate{Label: name, Trials: 1000, Hits: rate, Expected: 0.04})
		}
		buckets = append(buckets, b)
	}
	alarms, err := Changes(names, buckets, ChangeSettings{Nodes: 4})
	if err != nil {
		t.Fatal(err)
	}
	if len(alarms) != 1 || alarms[0].Node != "B" || !alarms[0].When.Equal(day(70)) {
		t.Errorf("%+v", alarms)
	}
	_, err = Changes(names[:3], buckets, ChangeSettings{Nodes: 4})
	refused(t, "arms", err)
	buckets[0].Arms[0].Hits = -1
	_, err = Changes(names, buckets, ChangeSettings{Nodes: 4})
	refused(t, "counts", err)
}

// The order of the arms, and their names, change nothing but the names of the alarms.
func TestChangesRelabel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var buckets, turned []Bucket
	for i := range 100 {
		b, o := Bucket{At: day(i), Length: oneDay}, Bucket{At: day(i), Length: oneDay}
		for k := range 3 {
			p := 0.05
			if k == 0 && i >= 50 {
				p = 0.02
			}
			b.Arms = append(b.Arms, Rate{Trials: 800, Hits: int64(distuv.Binomial{N: 800, P: p, Src: rng}.Rand()), Expected: 0.05})
		}
		o.Arms = []Rate{b.Arms[2], b.Arms[0], b.Arms[1]}
		buckets, turned = append(buckets, b), append(turned, o)
	}
	set := ChangeSettings{Nodes: 3}
	a, err := Changes([]string{"A", "B", "C"}, buckets, set)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Changes([]string{"C", "A", "B"}, turned, set)
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != 1 || len(b) != 1 || a[0] != b[0] || a[0].Node != "A" {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// Successes as chance lets them vary have dispersion 1; with each cell in twos they have 2, whatever the seasons.
func TestDispersion(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, by := range []int64{1, 2} {
		var buckets []Bucket
		for i := range 300 {
			b := Bucket{At: day(i), Length: oneDay}
			for k := range 5 {
				mean := 10 * (1 + 0.5*math.Sin(float64(i))) * (1 + 0.1*float64(k)) / float64(by)
				b.Arms = append(b.Arms, Rate{Trials: 1000, Hits: by * int64(distuv.Poisson{Lambda: mean, Src: rng}.Rand()), Expected: 0.01})
			}
			buckets = append(buckets, b)
		}
		got, err := Dispersion(buckets)
		// 4·299 degrees of freedom: a standard error of √(2/1196) = 4%
		if err != nil || math.Abs(got-float64(by)) > 0.16*float64(by) {
			t.Errorf("in %ds: %v, %v", by, got, err)
		}
	}
	if got, err := Dispersion(nil); err != nil || got != 1 {
		t.Errorf("of nothing: %v, %v", got, err)
	}
	_, err := Dispersion([]Bucket{{Arms: []Rate{{Trials: 1, Expected: math.NaN()}}}})
	refused(t, "expectation", err)
}

func FuzzDetector(f *testing.F) {
	f.Add(int64(100), int64(3), 0.03, int64(30), 29.5)
	f.Add(int64(0), int64(0), 1.0, int64(0), 0.0)
	f.Add(int64(1e12), int64(1e12), 1e-300, int64(1e12), 1e-300)
	f.Add(int64(math.MaxInt64), int64(-3), math.NaN(), int64(math.MinInt64), math.Inf(1))
	f.Fuzz(func(t *testing.T, n, s int64, p float64, others int64, expected float64) {
		if x, err := Dispersion([]Bucket{{Arms: []Rate{{"a", n, s, p}, {"b", others, s, p}}}, {Arms: []Rate{{"a", s, s, p}, {"b", 3, 2, p}}}}); err != nil {
			refused(t, "buckets", err)
		} else if !(x >= 1) {
			t.Fatalf("dispersion %v", x)
		}
		d := detector(t, ChangeSettings{Nodes: 1})
		for i := range 4 {
			x := Increment{At: day(i), Length: oneDay, Trials: n, Successes: s, Expected: p, Others: others, OthersExpected: expected}
			if i == 2 {
				x.Successes /= 2
			}
			a, err := d.Add(x)
			if err != nil {
				refused(t, "increment", err)
			} else if a != nil && (!(a.From >= 0 && a.From <= 1) || !(a.To >= 0 && a.To <= 1) || math.IsNaN(a.Expected)) {
				t.Fatalf("%+v", a)
			}
		}
	})
}
