package layers_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
)

// day0 is d0 of the scripts.
func day0() time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) }

// script is one row of testdata/histories.txt: what a shopper did, and what must come out at the end.
type script struct {
	name   string
	line   int
	events []juncture.Event
	anon   []bool // of each event: done before the shopper was known
	now    time.Time
	want   []string // moment, trajectory, and the posture where one is expected
}

// scripts reads the rows: `name: when what; when what; ... now -> moment | trajectory [| posture]`; the file says how.
func scripts(t *testing.T) []script {
	t.Helper()
	b, err := os.ReadFile("testdata/histories.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []script
	for i, line := range strings.Split(string(b), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := parseScript(line, i+1)
		if err != nil {
			t.Fatalf("histories.txt:%d: %v", i+1, err)
		}
		out = append(out, s)
	}
	return out
}

func parseScript(line string, number int) (script, error) {
	s := script{line: number}
	name, rest, ok := strings.Cut(line, ": ")
	history, want, ok2 := strings.Cut(rest, " -> ")
	if !ok || !ok2 {
		return s, fmt.Errorf("want `name: history -> outcome`")
	}
	s.name = name
	for w := range strings.SplitSeq(want, "|") {
		s.want = append(s.want, strings.TrimSpace(w))
	}
	var clock time.Time
	for item := range strings.SplitSeq(history, ";") {
		words := strings.Fields(item)
		clock = clock.Add(time.Minute)
		if d, ok := strings.CutPrefix(words[0], "d"); ok && len(words) > 0 {
			if n, err := strconv.Atoi(d); err == nil {
				clock = day0().AddDate(0, 0, n).Add(12 * time.Hour)
				words = words[1:]
			}
		}
		if len(words) > 0 {
			if at, err := time.Parse("15:04", words[0]); err == nil {
				clock = clock.Truncate(24 * time.Hour).Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute)
				words = words[1:]
			}
		}
		if len(words) == 0 {
			return s, fmt.Errorf("nothing happens in %q", item)
		}
		if words[0] == "now" {
			s.now = clock
			continue
		}
		var err error
		if clock, err = s.add(words, clock); err != nil {
			return s, err
		}
	}
	if s.now.IsZero() {
		return s, fmt.Errorf("no `now`")
	}
	return s, nil
}

func verbs() map[string]juncture.EventKind {
	return map[string]juncture.EventKind{"page": juncture.EventPageViewed, "read": juncture.EventArticleViewed, "searched": juncture.EventProductsSearched,
		"list": juncture.EventListViewed, "clicked": juncture.EventProductClicked, "viewed": juncture.EventProductViewed, "details": juncture.EventProductDetail,
		"wished": juncture.EventWishlisted, "added": juncture.EventProductAdded, "removed": juncture.EventProductRemoved, "cart": juncture.EventCartViewed,
		"checkout": juncture.EventCheckoutStarted, "step": juncture.EventCheckoutStep, "ordered": juncture.EventOrderCompleted,
		"cancelled": juncture.EventOrderCancelled, "refunded": juncture.EventOrderRefunded, "mail": juncture.EventCampaignEngaged,
		"identified": juncture.EventIdentified, "reviewed": juncture.EventReviewed, "emptied": juncture.EventCartEmptied}
}

// add adds what the words say, as often as they say, a minute apart, and returns when the last of it happened.
func (s *script) add(words []string, at time.Time) (time.Time, error) {
	anon := words[0] == "anonymously"
	if anon {
		words = words[1:]
	}
	kind, ok := verbs()[words[0]]
	if !ok {
		return at, fmt.Errorf("no verb %q", words[0])
	}
	e := juncture.Event{Kind: kind, Name: words[0], Shopper: "ada"}
	times := 1
	for _, w := range words[1:] {
		if n, ok := strings.CutPrefix(w, "x"); ok {
			if v, err := strconv.Atoi(n); err == nil {
				times = v
				continue
			}
		}
		if n, err := strconv.Atoi(w); err == nil {
			if kind == juncture.EventOrderCompleted || kind == juncture.EventOrderRefunded {
				e.Value = int64(n) * 100
			} else {
				e.Lines[0].Quantity = n
			}
			continue
		}
		if o, ok := strings.CutPrefix(w, "#"); ok {
			e.Order = o
			continue
		}
		category, _, _ := strings.Cut(w, "-")
		if kind == juncture.EventListViewed {
			e.Category = w
			continue
		}
		e.Lines = []juncture.Line{{Product: w, Category: category, Quantity: 1}}
	}
	for i := range times {
		if i > 0 {
			at = at.Add(time.Minute)
		}
		e.At = at
		e.ID = fmt.Sprintf("%03d", len(s.events))
		s.events, s.anon = append(s.events, e), append(s.anon, anon)
	}
	return at, nil
}
