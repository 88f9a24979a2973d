package meaning

import "strings"

// Sensitive traits are never inputs: gender, age, ethnicity, religion, health, pregnancy, sexuality, politics, union
// membership, disability and criminal record of a person. Two rules keep them out.
//
// By name: an attribute called after such a trait is dropped whatever its value. That takes in "gender" and "age_group",
// which product feeds use for the department: a feed cannot be told from a form by its name. The department itself is a
// fact about the product, where in the shop it hangs, and stays: as `department`, as a category or as a tag ("women").
//
// By value: a value (of a category, tag, brand or attribute) or a word of the title that speaks of such a trait is
// dropped; where the product is about the trait (a pregnancy test, a prayer rug), the whole product feeds no taste, since
// its other attributes would stand in for it. Style words with an everyday meaning ("ethnic" wear) lose the word alone.
//
// What the rules do not see: a proxy nobody would guess from its words. The names of learnt clusters are shown to a
// person before anything is written for them.

// Trait returns the sensitive trait that an attribute name speaks of, "" for none.
func Trait(name string) string {
	words := fold(name)
	for _, w := range words {
		switch w {
		case "gender", "sex":
			return "gender"
		case "age", "birthday", "birthdate", "birthyear", "dob", "generation":
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
		case "political", "politics", "party":
			if w == "party" {
				continue // an occasion
			}
			return "politics"
		case "union", "criminal", "conviction", "income", "salary", "credit", "marital":
			return "circumstances"
		}
	}
	return ""
}

// withheld returns whether a word is never part of the vocabulary, and whether a product with it feeds no taste at all.
func withheld(word string) (drop, product bool) {
	switch word {
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

// fold splits a name or value into lower-case words.
func fold(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !isWord(r) })
}

func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127
}
