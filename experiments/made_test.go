package experiments

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
)

// What was made of an evidence is what would be made again, question by question, also of more questions than are kept.
func TestMadeIsWhatWouldBeMade(t *testing.T) {
	ev := testEvidence(t, `
		loyal.browsing._/c1/_/_ 1 policy 200 20
		loyal.browsing._/c2/_/_ 3 policy 300 40
		prospect.dormant._/c1/_/_ 4 random 150 9
	`)
	kept := ev
	kept.Made = NewMade()
	questions := []GridQuery{{}, {Rows: "meaning"}, {Cols: "meaning"}, {Rows: "meaning", Cols: "status"}, {Most: 1}, {Most: 2}, {Filter: map[string]string{"lifecycle": "loyal"}}, {Filter: map[string]string{"lifecycle": "prospect"}}, {Filter: map[string]string{"status": "loyal"}}}
	for i := range madeMost {
		questions = append(questions, GridQuery{Rows: "meaning", Most: 3 + i})
	}
	for range 2 {
		for _, q := range questions {
			want, err := BuildGrid(ev, q)
			if err != nil {
				t.Fatal(err)
			}
			got, err := BuildGrid(kept, q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v: %s", q, diff)
			}
		}
		want, err := BuildSegments(ev, SegmentQuery{Axes: []string{"meaning"}, Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := BuildSegments(kept, SegmentQuery{Axes: []string{"meaning"}, Limit: 5}); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%v, %v", got, err)
		}
		if _, err := BuildGrid(kept, GridQuery{Rows: "nothing"}); err == nil {
			t.Error("no such axis, and no error")
		}
	}
	if n := len(kept.Made.all); n != madeMost {
		t.Errorf("%d are kept, want %d", n, madeMost)
	}
}

// Segments in parts are those of BuildSegments, and a failing reader stops them.
func TestEachSegmentIsBuildSegments(t *testing.T) {
	var lines strings.Builder
	for i := range 3 * segmentsAtOnce / 2 {
		fmt.Fprintf(&lines, "loyal.s%d._/c%d/_/_ %d policy %d %d\n", i%5, i, []juncture.ArmID{plain, five, urgent}[i%3], 50+i, i%40)
	}
	ev := testEvidence(t, lines.String())
	want, err := BuildSegments(ev, SegmentQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var got []SegmentWinner
	parts := 0
	if err := EachSegment(ev, SegmentQuery{}, func(rows []SegmentWinner) error {
		parts++
		got = append(got, rows...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Rows, got); diff != "" || parts != 2 {
		t.Errorf("%d parts: %s", parts, diff)
	}
	parts = 0
	stop := errors.New("stop")
	if err := EachSegment(ev, SegmentQuery{}, func([]SegmentWinner) error { parts++; return stop }); !errors.Is(err, stop) || parts != 1 {
		t.Errorf("%v after %d parts", err, parts)
	}
}
