package juncture_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "github.com/juncture/juncture"
)

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"Hats & Caps": "hats-caps", "men's shirts": "mens-shirts", "": "", " -- ": "", "!": "", "T-Shirts 2026": "t-shirts-2026",
		"Ünïcödé": "unicode", "Crème Brûlée": "creme-brulee", "Straße": "strasse", "Łódź": "lodz", "Cre\u0300me": "creme", // an accent of its own
		"Việt Nam": "viet-nam", "İğne": "igne", "caps — new": "caps-new",
	} {
		if got := Slug(name, 62); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	// What is lost is told by 10 letters of a hash after what is left.
	dress, shirt := Slug("Ünïcödé 连衣裙", 62), Slug("Ünïcödé 衬衫", 62)
	if !strings.HasPrefix(dress, "unicode-") || len(dress) != len("unicode-")+10 || dress == shirt || dress == Slug("Ünïcödé", 62) {
		t.Errorf("%q and %q", dress, shirt)
	}
	if a, b := Slug("платья", 62), Slug("рубашки", 62); a == b || len(a) != 10 || a != Slug("ПЛАТЬЯ", 62) {
		t.Errorf("%q and %q", a, b)
	}
	long := strings.Repeat("very ", 30)
	if a, b := Slug(long+"wide", 62), Slug(long+"tall", 62); a == b || len(a) > 62 || !strings.HasPrefix(a, "very-very-") {
		t.Errorf("%q and %q", a, b)
	}
}

// Whatever the name, its slug is a layer value or nothing, and two names that differ in their letters have two.
func TestSlugsAreLayerValuesAndTellNamesApart(t *testing.T) {
	words := rapid.OneOf(rapid.StringMatching(`[a-z0-9]{1,90}( [a-z0-9]{1,9}){0,9}`), rapid.StringMatching(`[\p{Han}\p{Cyrillic}a-z ]{0,90}`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		name, most := words.Draw(t, "name"), rapid.IntRange(16, 64).Draw(t, "most")
		got := Slug(name, most)
		if got != "" && !ValidLayerValue(got) || len(got) > most || strings.HasPrefix(got, "-") || strings.HasSuffix(got, "-") {
			t.Fatalf("%q is %q", name, got)
		}
		plain := rapid.StringMatching(`[a-z\p{Han}]{1,90}`)
		a, b := plain.Draw(t, "a"), plain.Draw(t, "b")
		if x, y := Slug(a, most), Slug(b, most); a != b && x == y || x == "" {
			t.Fatalf("%q and %q are both %q", a, b, x)
		}
	})
}
