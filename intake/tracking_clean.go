package intake

import (
	"bytes"
	"strings"
)

// place says what stands around a value, since a name is a person's in traits and a product's in properties.
type place uint8

const (
	placeEvent  place = iota // the event itself
	placeIDs                 // a member that is an id
	placeInside              // properties, context and what is in them
	placeDevice              // context.device
	placeTraits              // traits and what is in them
)

// clean appends node i to dst, compact and less personal data: members on the deny-list (denied), and texts that hold
// an e-mail address, of which an address of a page keeps what stands before its query. The event's ids stay.
func (t *tape) clean(dst []byte, i int, at place) []byte {
	n := t.nodes[i]
	switch n.kind {
	case '{', '[':
	case '"':
		text := t.b[n.from:n.to]
		if at != placeIDs {
			text = withoutMail(text, n.escaped)
		}
		dst = append(dst, '"')
		dst = append(dst, text...)
		return append(dst, '"')
	default:
		return append(dst, t.raw(i)...)
	}
	var buf [40]byte
	dst = append(dst, n.kind)
	first := true
	for c := range t.each(i) {
		inner := at
		if n.kind == '{' {
			key := t.plain(c, &buf)
			if m := t.nodes[c]; denied(key, at) || mailAt(t.b[m.key:m.keyEnd]) >= 0 || m.keyEscaped {
				continue // no sender escapes keys but to hide them
			}
			inner = within(key, at)
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if n.kind == '{' {
			m := t.nodes[c]
			dst = append(dst, '"')
			dst = append(dst, t.b[m.key:m.keyEnd]...)
			dst = append(dst, '"', ':')
		}
		dst = t.clean(dst, c, inner)
	}
	return append(dst, n.kind+2) // } and ] stand two after { and [
}

func within(key []byte, at place) place {
	switch string(key) {
	case "traits", "usertraits", "userproperties", "customer", "user", "person", "profile", "contact", "recipient", "subscriber":
		return placeTraits
	case "device":
		if at == placeInside {
			return placeDevice
		}
	case "userid", "anonymousid", "previousid", "messageid", "groupid":
		if at == placeEvent {
			return placeIDs
		}
	}
	if at == placeEvent {
		return placeInside
	}
	return at
}

// denied reports members that are never kept. Keys are plain (tape.plain).
func denied(key []byte, at place) bool {
	switch at {
	case placeEvent:
		switch string(key) {
		case "writekey", "sentat", "receivedat": // secrets, and times that are spent
			return true
		}
	case placeDevice: // ids of advertising, and names such as "Ann's iPhone"
		switch string(key) {
		case "id", "name", "token", "advertisingid", "adtrackingenabled":
			return true
		}
	case placeTraits:
		if personal(key) {
			return true
		}
	}
	for _, end := range []string{"email", "emailaddress", "phone", "phonenumber", "password", "ipaddress"} {
		if bytes.HasSuffix(key, []byte(end)) {
			return true
		}
	}
	switch string(key) {
	case "mail", "emails", "phones", "mobile", "mobilenumber", "telephone", "tel", "fax",
		"firstname", "lastname", "fullname", "surname", "givenname", "familyname", "middlename", "maidenname", "customername", "recipientname",
		"address", "addresses", "street", "streetaddress", "address1", "address2", "addressline1", "addressline2",
		"shippingaddress", "billingaddress", "deliveryaddress", "userdata", "userinfo", "customerinfo",
		"ip", "clientip", "remoteip", "xforwardedfor", "birthday", "birthdate", "dateofbirth", "dob", "ssn", "nationalid", "passport",
		"passportnumber", "taxid", "passwd", "creditcard", "cardnumber", "cvv", "cvc", "iban", "accountnumber",
		"idfa", "idfv", "gaid", "aaid", "latitude", "longitude", "lat", "lng", "geolocation", "geo", "geoip":
		return true
	case "location":
		return at != placeEvent
	}
	return false
}

// personal lists what is a person's where it is said of a person, and the sensitive traits, which are never inputs.
func personal(key []byte) bool {
	switch string(key) {
	case "name", "username", "nickname", "displayname", "initials", "title", "salutation", "avatar", "photo", "picture", "website", "url", "description",
		"bio", "company", "employer", "job", "jobtitle", "position", "city", "state", "zip", "zipcode", "postalcode", "postcode", "region",
		"facebook", "twitter", "instagram", "linkedin", "tiktok", "whatsapp", "telegram", "note", "notes", "comment", "comments",
		"age", "agegroup", "agerange", "gender", "sex", "pronouns", "maritalstatus", "children", "family", "income", "salary", "creditscore",
		"race", "ethnicity", "ethnicorigin", "nationality", "citizenship", "language", "religion", "faith", "politics", "politicalviews", "politicalaffiliation",
		"unionmember", "health", "healthstatus", "medical", "medicalhistory", "disability", "disabilities", "diagnosis", "pregnant", "pregnancy",
		"orientation", "sexualorientation", "criminalrecord", "bloodtype", "weight", "height", "caste":
		return true
	}
	return false
}

// mailAt returns where the first e-mail address of a text begins to show: its @, or %40 in an address; -1 for none.
func mailAt(s []byte) int {
	if bytes.IndexByte(s, '@') < 0 && bytes.IndexByte(s, '%') < 0 {
		return -1
	}
	plain, coded := -1, -1 // where the next ones are, looked for once
	for from := 0; ; {
		if plain < from {
			plain = next(s, from, "@")
		}
		if coded < from {
			coded = next(s, from, "%40")
		}
		at, width := plain, 1
		if coded < at {
			at, width = coded, 3
		}
		if at == len(s) {
			return -1
		}
		if at > 0 && localPart(s[at-1]) {
			host := s[at+width:]
			end := 0
			for end < len(host) && (host[end] == '.' || host[end] == '-' || alphanumeric(host[end])) {
				end++
			}
			if dot := bytes.LastIndexByte(host[:end], '.'); dot > 0 && dot+2 < end && !isDigit(host[dot+1]) {
				return at
			}
		}
		from = at + width
	}
}

// next is where what begins in s at from or after, len(s) for nowhere.
func next(s []byte, from int, what string) int {
	if i := bytes.Index(s[from:], []byte(what)); i >= 0 {
		return from + i
	}
	return len(s)
}

func localPart(c byte) bool { return alphanumeric(c) || strings.IndexByte("._%+-'", c) >= 0 }

func alphanumeric(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// withoutMail is the text of a string less e-mail addresses: what stands before the query of a page's address, or a word
// that says so.
func withoutMail(text []byte, escaped bool) []byte {
	if escaped && mailAt(unescape(text)) >= 0 {
		return []byte("[removed]")
	}
	mail := mailAt(text)
	if mail < 0 {
		return text
	}
	if query := bytes.IndexByte(text[:mail], '?'); query > 0 && mailAt(text[:query]) < 0 {
		return text[:query]
	}
	return []byte("[removed]")
}

// unmailed is a text less e-mail addresses.
func unmailed(s string) string {
	if mailAt([]byte(s)) >= 0 {
		return "[removed]"
	}
	return s
}
