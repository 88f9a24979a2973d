package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

// serves writes decisions with serials of their times and counts them as caps do.
func serves(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	d := begin(t, open(t))
	at := func(after time.Duration, changes ...func(*juncture.Decision)) juncture.Serve {
		c := d.claims()
		c.At = c.At.Add(after)
		c.Serial = 1<<juncture.NodeShift | uint64(c.At.UnixMicro())
		w := write(c)
		w.Decision.Shopper = "ada"
		for _, f := range changes {
			f(&w.Decision)
		}
		d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{w}})
		return juncture.Serve{Serial: c.Serial, At: w.Decision.At, Arm: w.Decision.Arm, Drawn: w.Decision.Drew()}
	}
	first := at(0)
	begun := first.At
	usual := at(time.Hour, func(d *juncture.Decision) { d.Arm, d.Group = 2, juncture.GroupBAU })
	shadow := at(2*time.Hour, func(d *juncture.Decision) { d.Arm, d.Shadow, d.Group = 2, 1, juncture.GroupShadow })
	at(3*time.Hour, func(d *juncture.Decision) { d.Detail, d.Ignored = juncture.DetailPreview, true })
	at(4*time.Hour, func(d *juncture.Decision) { d.Detail, d.Ignored = juncture.DetailBot, true })
	at(5*time.Hour, func(d *juncture.Decision) { d.Arm, d.Group = 0, juncture.GroupHoldout })
	at(6*time.Hour, func(d *juncture.Decision) { d.Shopper = "bob" })
	deferred := at(7*time.Hour, func(d *juncture.Decision) { d.Deferred = true })
	if !first.Drawn || usual.Drawn || shadow.Drawn {
		t.Fatalf("drawn: %v, %v, %v", first.Drawn, usual.Drawn, shadow.Drawn)
	}
	for _, x := range []struct {
		since time.Time
		arms  []juncture.ArmID
		want  int64
	}{
		{time.Time{}, []juncture.ArmID{1}, 3}, // ada's first and last, and bob's
		{time.Time{}, []juncture.ArmID{2}, 2},
		{time.Time{}, []juncture.ArmID{1, 2}, 5},
		{begun, []juncture.ArmID{1}, 3},
		{begun.Add(time.Millisecond), []juncture.ArmID{1}, 2},
		{begun.Add(8 * time.Hour), []juncture.ArmID{1, 2}, 0},
		{time.Time{}, nil, 0},
	} {
		n, err := d.db.Served(ctx, 1, x.since, x.arms)
		if check(t, err); n != x.want {
			t.Errorf("arms %v since %v: %d, want %d", x.arms, x.since, n, x.want)
		}
	}
	if n, err := d.db.Served(ctx, 2, time.Time{}, []juncture.ArmID{1, 2}); n != 0 || err != nil {
		t.Errorf("another node served %d, %v", n, err)
	}
	for _, x := range []struct {
		since time.Time
		limit int
		want  []juncture.Serve
	}{
		{time.Time{}, 10, []juncture.Serve{deferred, shadow, usual, first}},
		{time.Time{}, 2, []juncture.Serve{deferred, shadow}},
		{begun.Add(time.Millisecond), 10, []juncture.Serve{deferred, shadow, usual}},
	} {
		got, err := d.db.ServedTo(ctx, 1, "ada", x.since, x.limit)
		check(t, err)
		if diff := cmp.Diff(x.want, got); diff != "" {
			t.Errorf("since %v, %d: %s", x.since, x.limit, diff)
		}
	}
}
