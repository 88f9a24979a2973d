package juncture_test

import (
	"strings"
	"testing"

	. "github.com/juncture/juncture"
)

func TestTrait(t *testing.T) {
	for name, want := range map[string]string{
		"gender": "gender", "Age Group": "age", "age_group": "age", "ageGroup": "age", "customerAge": "age", "yearOfBirth": "age", "customer-ethnicity": "ethnicity", "Religion": "religion",
		"health concern": "health", "skinCondition": "ethnicity", "isPregnant": "pregnancy", "skin tone": "ethnicity", "sexual orientation": "sexuality",
		"political_party": "politics", "maternity": "pregnancy", "income band": "circumstances",
		"": "", "colour": "", "department": "", "condition": "", "orientation": "", "party": "", "usage": "", "page": "", "image": "", "package": "", "Passage": "",
	} {
		if got := Trait(name); got != want {
			t.Errorf("%q speaks of %q, want %q", name, got, want)
		}
	}
}

func TestWithheldAndSealed(t *testing.T) {
	for text, want := range map[string][2]bool{ // withheld, sealed
		"":                   {},
		"women > dresses":    {},
		"home > prayer rugs": {true, true},
		"prayer-rugs":        {true, true}, // as a slug
		"Pregnancy Tests":    {true, true},
		"Condoms":            {true, true}, // the plural
		"ethnic wear":        {true, false},
		"teens":              {true, false},
		"grace":              {},
		"conditioners":       {},
	} {
		if got := [2]bool{Withheld(text), Sealed(text)}; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	for what, p := range map[string]Product{"category": {Category: "maternity > chairs"}, "title": {Title: "Pregnancy pillow"}, "tag": {Tags: []string{"new", "prayer"}},
		"attribute": {Attrs: map[string]string{"diet": "halal"}}, "brand": {Brand: "Kosher Co"}} {
		if !p.Sealed() {
			t.Errorf("not sealed by its %s", what)
		}
	}
	if p := (&Product{Title: "Ethnic lamp", Category: "lamps", Tags: []string{"women"}}); p.Sealed() {
		t.Error("a style word seals the product")
	}
}

func TestDeclaredContextSpeaksOfNoTrait(t *testing.T) {
	d := Declaration{Store: StoreInfo{Name: "s", Currency: "EUR"}, Context: []string{"weather", "ageGroup", "pageType"}}
	p := d.Problems()
	if len(p) != 1 || p[0].Path != "context[1]" || !strings.Contains(p[0].Message, "age") || p[0].Hint == "" {
		t.Errorf("%+v", p)
	}
}
