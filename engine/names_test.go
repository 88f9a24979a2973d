package engine_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
)

// A name that a person gave is what the server, a command beside it and every read-out call the cluster.
func TestNamesOfClusters(t *testing.T) {
	s := taught(t)
	x := s.choose(ask("dress-lover-1")).Intersection.Layers["meaning"].Value
	name := "Black-tie season"
	if err := s.Engine.ChangeCluster(t.Context(), s.Clock.Now(), engine.Who{Actor: "test", From: "test"}, x, juncture.ClusterChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Learned.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	ev, err := s.Engine.Evidence(t.Context(), "hero", s.Clock.Now())
	if err != nil || ev.Names[x] != name {
		t.Fatalf("%v, %v", ev.Names, err)
	}
	beside, err := engine.ClusterNames(t.Context(), s.DB)
	if err != nil {
		t.Fatal(err)
	}
	for what, names := range map[string]any{"a command": beside, "what was learnt": s.Learned.Names()} {
		if d := cmp.Diff(any(ev.Names), names); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	if names, err := engine.ClusterNames(t.Context(), open(t).DB); err != nil || len(names) != 0 {
		t.Errorf("a store that has learnt none: %v, %v", names, err)
	}
}
