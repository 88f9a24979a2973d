package intake

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/juncture/juncture"
	"pgregory.net/rapid"
)

func example(t testing.TB) []byte {
	b, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseExample(t *testing.T) {
	got, err := ParseStoreFile("store.yaml", example(t))
	if err != nil {
		t.Fatal(err)
	}
	floor := 0.01
	request := juncture.LayerSetting{Source: "request"}
	want := &juncture.Declaration{
		Store: juncture.StoreInfo{Name: "Demo", Currency: "GBP"},
		Layers: map[string]juncture.LayerSetting{"moment": request, "meaning": {Source: "request", MaxValues: 500},
			"trajectory": request, "catalogue": request},
		Outcomes: []juncture.OutcomeType{{Name: "click", Type: "binary"}, {Name: "purchase", Type: "money", Bound: 5000}},
		Surfaces: []juncture.Surface{{ID: "home_hero", Channel: "onsite", Default: "welcome"}},
		Actions: []juncture.Action{
			{ID: "welcome", Surfaces: []string{"home_hero"}, Type: "content", Copy: []juncture.Copy{{ID: "plain", Headline: "Welcome back"}}},
			{ID: "five_off", Surfaces: []string{"home_hero"}, Type: "discount", Payload: map[string]any{"percent": 5.0},
				Rule: `lifecycle != "loyal"`, Copy: []juncture.Copy{
					{ID: "plain", Headline: "5% off today", CTA: "Shop now"},
					{ID: "milan", Headline: "The hottest trend in Milan", CTA: "See it", Voice: []string{"high-end-fashionistas"}}}},
		},
		Experiments: []juncture.Experiment{{ID: "hero", Surface: "home_hero",
			Goal:   juncture.Goal{Outcome: "click", Window: juncture.Duration(24 * time.Hour)},
			Groups: juncture.GroupShares{Policy: 0.85, Random: 0.05, BAU: 0.05, Holdout: 0.05}, Floor: &floor, Status: "running"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseDefaultsAndValues(t *testing.T) {
	got, err := ParseStoreFile("s", []byte("\ufeff"+strings.ReplaceAll(`
store: {name: "1", currency: JPY}
layers: {moment: {}, meaning: {maxValues: 7}}
outcomes: [{name: buy, type: money, window: 7d, cap: 2.5e2, count: last}]
surfaces: [{id: s, channel: app, ceiling: moment}]
experiments:
  - {id: e, surface: s, goal: {outcome: buy, window: 90m, measure: rate}, groups: {bau: 1}, traffic: 0, floor: 0,
     starts: 2026-11-20T10:30:00+01:00, ends: "2026-12-01T00:00:00Z"}
actions:
  - id: a
    surfaces: [s]
    type: x
    payload: {i: 3, f: 0.1, big: 123456789012345680000, e: 1e+21, n: null, b: false, s: "5", d: 2026-01-01, l: [1, {x: y}], m: {}, yes: no}
    copy: [{id: c, headline: "a: b", body: |-
       two
       lines
     }]
context: [page]
`, "body: |-\n       two\n       lines\n     ", `body: "two\nlines"`)))
	if err != nil {
		t.Fatal(err)
	}
	starts, ends, zero := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), 0.0
	want := &juncture.Declaration{
		Store:    juncture.StoreInfo{Name: "1", Currency: "JPY"},
		Layers:   map[string]juncture.LayerSetting{"moment": {Source: "derived"}, "meaning": {Source: "derived", MaxValues: 7}},
		Outcomes: []juncture.OutcomeType{{Name: "buy", Type: "money", Window: juncture.Duration(7 * 24 * time.Hour), Cap: 250, Count: "last"}},
		Surfaces: []juncture.Surface{{ID: "s", Channel: "app", Ceiling: "moment"}},
		Experiments: []juncture.Experiment{{ID: "e", Surface: "s", Goal: juncture.Goal{Outcome: "buy", Window: juncture.Duration(90 * time.Minute), Measure: "rate"},
			Groups: juncture.GroupShares{BAU: 1}, Traffic: &zero, Floor: &zero, Status: "draft", Starts: &starts, Ends: &ends}},
		Actions: []juncture.Action{{ID: "a", Surfaces: []string{"s"}, Type: "x", Payload: map[string]any{"i": 3.0, "f": 0.1,
			"big": 123456789012345680000.0, "e": 1e21, "n": nil, "b": false, "s": "5", "d": "2026-01-01",
			"l": []any{1.0, map[string]any{"x": "y"}}, "m": map[string]any{}, "yes": "no"},
			Copy: []juncture.Copy{{ID: "c", Headline: "a: b", Body: "two\nlines"}}}},
		Context: []string{"page"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var back juncture.Declaration
	if err := json.Unmarshal(b, &back); err != nil || !cmp.Equal(got, &back) {
		t.Errorf("through JSON: %v %s", err, cmp.Diff(got, &back))
	}
}

func TestBadStoreFiles(t *testing.T) {
	b, err := os.ReadFile("testdata/bad.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split(string(b), "\n== ")[1:]
	if len(cases) < 25 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		name, rest, _ := strings.Cut(c, "\n")
		file, want, ok := strings.Cut("\n"+rest, "\n--\n")
		if !ok {
			t.Fatalf("%s: no --", name)
		}
		t.Run(name, func(t *testing.T) {
			file := strings.NewReplacer(`\t`, "\t", `\xff`, "\xff").Replace(strings.TrimPrefix(file, "\n") + "\n")
			if name == "empty" {
				file = ""
			}
			d, err := ParseStoreFile("store.yaml", []byte(file))
			if err == nil {
				t.Fatalf("accepted: %+v", d)
			}
			fe, ok := errors.AsType[*FileError](err)
			if !ok || d != nil {
				t.Fatalf("%T", err)
			}
			if diff := cmp.Diff(strings.Split(strings.TrimSpace(want), "\n"), strings.Split(err.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
			e, ok := errors.AsType[*juncture.Error](err)
			if !ok || e.Code != juncture.CodeInvalidRequest || e.Field != fe.Problems[0].Path || !strings.HasPrefix(e.Message, "store.yaml:") {
				t.Errorf("as a juncture.Error: %#v", e)
			}
		})
	}
}

func TestStoreFileLimits(t *testing.T) {
	if _, err := ParseStoreFile("big.yaml", make([]byte, MaxStoreFile+1)); juncture.ErrorCode(err) != juncture.CodeTooLarge {
		t.Error(err)
	}
	started := time.Now()
	for name, text := range map[string]string{
		"flow":      strings.Repeat("[", 1<<20),
		"block":     strings.Repeat("- ", 1<<20),
		"problems":  "store: {name: D, currency: GBP}\n" + strings.Repeat("x: 1\n", 100_000),
		"laughs":    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b]\n",
		"no colons": strings.Repeat("word\n", 200_000),
	} {
		_, err := ParseStoreFile(name, []byte(text))
		fe, ok := errors.AsType[*FileError](err)
		if !ok || len(fe.Problems) > maxProblems {
			t.Errorf("%s: %T", name, err)
		}
	}
	if took := time.Since(started); took > 30*time.Second {
		t.Errorf("hostile files took %v", took)
	}
}

func TestFormatExample(t *testing.T) {
	d, err := ParseStoreFile("store.yaml", example(t))
	if err != nil {
		t.Fatal(err)
	}
	b, err := FormatStoreFile(d)
	if err != nil {
		t.Fatal(err)
	}
	want := `store:
  name: "Demo"
  currency: "GBP"
layers:
  catalogue:
    source: request
  meaning:
    source: request
    maxValues: 500
  moment:
    source: request
  trajectory:
    source: request
outcomes:
  - name: click
    type: binary
  - name: purchase
    type: money
    bound: 5000
surfaces:
  - id: home_hero
    channel: onsite
    default: welcome
actions:
  - id: welcome
    surfaces: [home_hero]
    type: content
    copy:
      - id: plain
        headline: "Welcome back"
  - id: five_off
    surfaces: [home_hero]
    type: discount
    payload: {percent: 5}
    rule: "lifecycle != \"loyal\""
    copy:
      - id: plain
        headline: "5% off today"
        cta: "Shop now"
      - id: milan
        headline: "The hottest trend in Milan"
        cta: "See it"
        voice: [high-end-fashionistas]
experiments:
  - id: hero
    surface: home_hero
    goal:
      outcome: click
      window: 24h
    groups:
      policy: 0.85
      random: 0.05
      bau: 0.05
      holdout: 0.05
    floor: 0.01
    status: running
`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
}

func TestFormatRefuses(t *testing.T) {
	for name, d := range map[string]juncture.Declaration{
		"not UTF-8": {Store: juncture.StoreInfo{Name: "\xff"}},
		"U+0000":    {Actions: []juncture.Action{{Payload: map[string]any{"a": "\x00"}}}},
		"not JSON":  {Actions: []juncture.Action{{Payload: map[string]any{"a": func() {}}}}},
	} {
		if b, err := FormatStoreFile(&d); juncture.ErrorCode(err) != juncture.CodeInvalidRequest || b != nil {
			t.Errorf("%s: %s %v", name, b, err)
		}
	}
}

// Any text and payload that may be declared comes back from its own file.
func TestFormatRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, err := ParseStoreFile("store.yaml", []byte(`{store: {name: D, currency: GBP}, outcomes: [{name: buy, type: money}],
			surfaces: [{id: s, channel: onsite}], actions: [{id: a, surfaces: [s], type: x, copy: [{id: c, headline: h}]}],
			experiments: [{id: e, surface: s, goal: {outcome: buy, window: 1h}, groups: {policy: 1}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if d.Store.Name = printable(t); d.Store.Name == "" {
			d.Store.Name = "null"
		}
		d.Outcomes[0].Bound = rapid.Float64Range(0, 1e12).Draw(t, "bound")
		d.Actions[0].Rule = printable(t)
		d.Actions[0].Copy[0].Headline = rapid.SampledFrom([]string{"~", "null", "0500", "1_0", "2026-01-01", "- a", "a: b", "#", "a #b", " a ",
			"\n", "\u0085\u2028\ufeff", "\x7f\u200b", "yes", "<<", "=", "!!str", "&a", "*a", "'", `\`, "a\r\nb\tc", "😀\uffff"}).Draw(t, "headline")
		if m := map[string]any(nil); rapid.Bool().Draw(t, "payload") {
			m = map[string]any{strings.Repeat(printable(t), 40): anyJSON(t, 3), "n": rapid.Float64().Draw(t, "n")}
			if b, _ := json.Marshal(m); len(b) <= juncture.MaxText {
				d.Actions[0].Payload = m
			}
		}
		d.Experiments[0].Goal.Window = juncture.Duration(rapid.Int64Range(int64(juncture.MinWindow), int64(juncture.MaxWindow)).Draw(t, "window"))
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "starts"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).UTC()
		d.Experiments[0].Starts = &at
		b, err := FormatStoreFile(d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseStoreFile("again.yaml", b)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if diff := cmp.Diff(d, back); diff != "" {
			t.Fatalf("%s\n%s", diff, b)
		}
	})
}

func FuzzParseStoreFile(f *testing.F) {
	f.Add(example(f))
	bad, err := os.ReadFile("testdata/bad.txt")
	if err != nil {
		f.Fatal(err)
	}
	for c := range strings.SplitSeq(string(bad), "\n== ") {
		_, rest, _ := strings.Cut(c, "\n")
		file, _, _ := strings.Cut(rest, "\n--\n")
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseStoreFile("store.yaml", b)
		if err != nil {
			fe, ok := errors.AsType[*FileError](err)
			if !ok || len(fe.Problems) == 0 {
				t.Fatalf("%#v", err)
			}
			for _, p := range fe.Problems {
				if p.Line < 1 || p.Line > strings.Count(string(b), "\n")+2+strings.Count(string(b), "\r")+strings.Count(string(b), "\u2028")+strings.Count(string(b), "\u2029")+strings.Count(string(b), "\u0085") || p.Message == "" {
					t.Fatalf("%v", p)
				}
			}
			return
		}
		out, err := FormatStoreFile(d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseStoreFile("again.yaml", out)
		if err != nil || !reflect.DeepEqual(d, back) {
			t.Fatalf("%v\n%s\n%s", err, out, cmp.Diff(d, back))
		}
	})
}

// What became of experiments is derived: a store file neither says nor undoes it. Guards are declared.
func TestWhatBecameOfExperimentsIsNotDeclared(t *testing.T) {
	const store = `
store: {name: Demo, currency: GBP}
outcomes: [{name: click, type: binary}, {name: unsubscribe, type: binary}]
surfaces: [{id: hero, channel: onsite, default: welcome, defaultCopy: plain}]
actions: [{id: welcome, surfaces: [hero], type: content, copy: [{id: plain, headline: Hello}]}]
experiments:
  - id: x
    surface: hero
    goal: {outcome: click, window: 24h}
    groups: {policy: 0.9, random: 0, bau: 0.1, holdout: 0}
    guards: [{outcome: unsubscribe, direction: above, margin: 0.2}, {outcome: click, direction: below, margin: 0.1, against: bau, alpha: 0.05}]
`
	d, err := ParseStoreFile("store.yaml", []byte(store))
	if err != nil {
		t.Fatal(err)
	}
	g := d.Experiments[0].Guards
	if len(g) != 2 || g[0].Control() != juncture.GroupBAU || g[0].Level() != juncture.DefaultAlpha || g[1].Level() != 0.05 || d.Surfaces[0].DefaultCopy != "plain" {
		t.Errorf("%+v", d)
	}
	for _, more := range []string{"shipped: {hero: {experiment: x, action: welcome}}", "tripped: {x: {why: y}}", "resets: {x: 2026-01-01T00:00:00Z}"} {
		if _, err := ParseStoreFile("store.yaml", []byte(store+more+"\n")); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%s: %v", more, err)
		}
	}
}
