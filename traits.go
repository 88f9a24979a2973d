package juncture

import (
	"strings"
	"unicode"
)

// Sensitive traits are never inputs: gender, age, ethnicity, religion, health, pregnancy, sexuality, politics, union
// membership, disability and criminal record of a person. Two rules keep them out, of tastes, of the category that a
// shopper is after, of recommendations and of rules.
//
// By name (Trait): an attribute called after such a trait is dropped whatever its value. That takes in "gender" and
// "age_group", which product feeds use for the department: a feed cannot be told from a form by its name. The department
// itself is a fact about the product, where in the shop it hangs, and stays: as `department`, as a category or as a tag
// ("women").
//
// By value (Withheld, Sealed): a value (of a category, tag, brand or attribute) or a word of the title that speaks of such
// a trait is dropped; where the product is about the trait (a pregnancy test, a prayer rug), the whole product is, since
// its other attributes would stand in for it. Style words with an everyday meaning ("ethnic" wear) lose the word alone.
//
// What the rules do not see: a proxy nobody would guess from its words, and words of other languages than English. The
// names of learnt clusters are shown to a person before anything is written for them.

// TraitHint says what to do about a name that Trait refuses.
const TraitHint = "leave it out; what is about the goods and not the shopper takes another name, such as department"

// Trait returns the sensitive trait that the name of an attribute or of a context key speaks of, "" for none. Words are
// told apart by what is no letter or digit and by capitals: "ageGroup" is "age group".
func Trait(name string) string {
	words := traitWords(name)
	for _, w := range words {
		switch w {
		case "gender", "sex":
			return "gender"
		case "age", "birth", "birthday", "birthdate", "birthyear", "dob", "generation":
			return "age"
		case "ethnicity", "ethnic", "race", "racial", "nationality", "citizenship", "caste", "skin", "complexion":
			return "ethnicity"
		case "religion", "religious", "faith", "belief", "denomination":
			return "religion"
		case "health", "medical", "disease", "illness", "condition", "diagnosis", "medication", "symptom", "disability", "disabled", "biometric", "genetic":
			if w == "condition" && len(words) == 1 {
				continue // of the goods: new, used, refurbished
			}
			return "health"
		case "pregnancy", "pregnant", "maternity", "fertility", "menstrual":
			return "pregnancy"
		case "sexuality", "sexual", "orientation", "lgbt", "lgbtq":
			if w == "orientation" && len(words) == 1 {
				continue // of a picture: portrait, landscape
			}
			return "sexuality"
		case "political", "politics":
			return "politics"
		case "union", "criminal", "conviction", "income", "salary", "credit", "marital":
			return "circumstances"
		}
	}
	return ""
}

// Withheld reports whether a text, such as a category, has a word that is never part of what is known of a shopper.
func Withheld(text string) bool {
	found := false
	eachWord(text, func(w []byte) {
		drop, _ := withheldWord(w)
		found = found || drop
	})
	return found
}

// Sealed reports whether a text says that a product is about a sensitive trait, so that nothing of it says anything of
// who looks at it.
func Sealed(text string) bool {
	found := false
	eachWord(text, func(w []byte) {
		_, product := withheldWord(w)
		found = found || product
	})
	return found
}

// Sealed reports whether a product is about a sensitive trait: by its category, brand, tags, attributes or title.
func (p *Product) Sealed() bool {
	if Sealed(p.Category) || Sealed(p.Brand) || Sealed(p.Title) {
		return true
	}
	for _, t := range p.Tags {
		if Sealed(t) {
			return true
		}
	}
	for _, v := range p.Attrs {
		if Sealed(v) {
			return true
		}
	}
	return false
}

// withheldWord returns whether a word in lower case is never part of a vocabulary, and whether a product with it is sealed.
func withheldWord(word []byte) (drop, product bool) {
	switch string(word) {
	case "pregnancy", "pregnant", "maternity", "prenatal", "postnatal", "postpartum", "fertility", "ovulation", "nursing", "breastfeeding", "menopause",
		"diabetic", "diabetes", "incontinence", "wheelchair", "orthopedic", "orthopaedic", "prosthetic", "catheter", "insulin", "hiv", "cancer", "chemo",
		"mastectomy", "antidepressant", "viagra", "contraceptive", "contraception", "condom", "prescription", "autism", "dementia",
		"muslim", "islam", "islamic", "quran", "koran", "hijab", "burqa", "niqab", "prayer", "ramadan", "halal", "kosher", "jewish", "judaica", "torah",
		"kippah", "yarmulke", "hanukkah", "christianity", "catholic", "rosary", "communion", "baptism", "baptismal", "hindu", "sikh", "buddhist", "bible",
		"lgbt", "lgbtq", "gay", "lesbian", "queer", "transgender", "bisexual", "fetish", "erotic",
		"political", "republican", "democrat", "communist", "maga", "election":
		return true, true
	case "ethnic", "ethnicity", "race", "racial", "religious", "gender", "sex", "sexual", "disabled", "elderly", "senior", "teen", "teenager", "adult", "age", "aged":
		return true, false
	}
	return false, false
}

// traitWords splits a name into lower-case words.
func traitWords(name string) []string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if lower && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// maxTraitWord is longer than any word withheld.
const maxTraitWord = 32

// eachWord calls f with every run of letters in lower case (ASCII; others as they are), as written and, where it ends in
// one, without its plural s. The slice is valid during the call only.
func eachWord(s string, f func(w []byte)) {
	var buf [maxTraitWord]byte
	n := 0
	flush := func() {
		if n > 0 && n <= maxTraitWord {
			f(buf[:n])
			if n > 3 && buf[n-1] == 's' {
				f(buf[:n-1])
			}
		}
		n = 0
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if !(c >= 'a' && c <= 'z' || c >= 128) {
			flush()
			continue
		}
		if n < maxTraitWord {
			buf[n] = c
		}
		n++
	}
	flush()
}
