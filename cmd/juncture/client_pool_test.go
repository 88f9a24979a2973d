package main

import (
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/client"
	"github.com/juncture/juncture/internal/testkit"
)

// A back-office writes an action and copy, and stops and starts it, by package client.
func TestClientChangesThePool(t *testing.T) {
	h := openHouse(t)
	testkit.Apply(t, h.db, testkit.Declaration())
	c := client.New("http://"+h.addr, h.keys["admin"], client.Options{Retries: -1})
	ctx := t.Context()
	state := func(a *juncture.PoolAction, err error) juncture.PoolState {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a.State
	}
	state(c.WriteAction(ctx, juncture.ActionDraft{Action: juncture.Action{ID: "spring", Surfaces: []string{"home_hero"}, Type: "content", Copy: []juncture.Copy{{ID: "plain", Headline: "Spring"}}}, Submit: true}))
	state(c.WriteCopy(ctx, "spring", juncture.CopyDraft{Copy: juncture.Copy{ID: "calm", Headline: "Spring"}, Submit: true}))
	if waits, err := c.Reviews(ctx); err != nil || len(waits) != 3 {
		t.Errorf("waiting: %+v, %v", waits, err)
	}
	if s := state(c.Hold(ctx, "news", "", juncture.VerbPause, "sold out")); s != juncture.PoolPaused {
		t.Errorf("paused: %s", s)
	}
	state(c.Hold(ctx, "news", "", juncture.VerbResume, "back in stock"))
	if on, err := c.Switch(ctx, "store", "", "kill", "a drill"); err != nil || len(on) != 1 {
		t.Errorf("killed: %+v, %v", on, err)
	}
	if on, err := c.Switch(ctx, "store", "", "restore", "it is over"); err != nil || len(on) != 0 {
		t.Errorf("restored: %+v, %v", on, err)
	}
	if all, err := c.Actions(ctx); err != nil || len(all) != 5 {
		t.Errorf("%d actions, %v", len(all), err)
	}
	if _, err := c.Action(ctx, "nothing"); juncture.ErrorCode(err) != juncture.CodeNotFound {
		t.Errorf("no such action: %v", err)
	}
}
