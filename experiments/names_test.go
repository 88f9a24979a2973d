package experiments

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
)

func TestNames(t *testing.T) {
	n := Names{"c-7f3a": "Denim · tops · Kett", "wedding-guests": "Black-tie season", "c-01": "NYC weekenders"}
	for key, want := range map[string]string{
		"v1/first-time.checkout-abandoned._/wedding-guests/_/_": "first-time checkout abandoners in black-tie season",
		"v1/_/c-7f3a/_/shoes":     "shoppers in denim · tops · Kett, looking at shoes",
		"v1/_/c-01/_/_":           "shoppers in NYC weekenders",
		"v1/_/sneaker-fans/_/_":   "shoppers in sneaker fans",
		"v1/loyal.browsing/_/_/_": "browsing loyal customers",
	} {
		x, err := juncture.ParseIntersection(key)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Phrase(x); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	got := []string{n.Value("meaning", "wedding-guests"), n.Value("category", "wedding-guests"), n.Value("meaning", "_"), strings.Join(n.Voice([]string{"c-01", "full"}), ", ")}
	if diff := cmp.Diff([]string{"Black-tie season", "Wedding guests", "Unknown", "NYC weekenders, full"}, got); diff != "" {
		t.Error(diff)
	}
	// The sentence of package lattice, and the effects that it tells.
	why := n.Why("arm overall +0.12, wedding-guests +0.40, loyal +0.03, own evidence -0.01", []juncture.EffectView{{Family: "action"}, {Family: "action × meaning", Level: "wedding-guests"}, {Family: "action × lifecycle", Level: "loyal"}})
	if want := "arm overall +0.12, “Black-tie season” +0.40, loyal +0.03, own evidence -0.01"; why != want {
		t.Errorf("%q", why)
	}
}
