package intake

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/juncture/juncture"
)

// calls are the members of one tracking call, by node; 0 for what is not there.
type calls struct {
	typ, event, name, userID, anonymousID, previousID, groupID, messageID   int
	timestamp, original, sentAt, receivedAt, context, properties, sessionID int
	category, consent                                                       int
}

func (p *parser) calls(i int, c *calls) {
	var buf [40]byte
	for m := range p.each(i) {
		if p.nodes[m].kind == 'n' {
			continue
		}
		switch string(p.plain(m, &buf)) {
		case "type":
			c.typ = m
		case "event", "eventname":
			c.event = m
		case "name":
			c.name = m
		case "userid":
			c.userID = m
		case "anonymousid":
			c.anonymousID = m
		case "previousid":
			c.previousID = m
		case "groupid":
			c.groupID = m
		case "messageid":
			c.messageID = m
		case "timestamp":
			c.timestamp = m
		case "originaltimestamp":
			c.original = m
		case "sentat":
			c.sentAt = m
		case "receivedat":
			c.receivedAt = m
		case "context":
			c.context = m
		case "properties", "params":
			c.properties = m
		case "sessionid":
			c.sessionID = m
		case "category":
			c.category = m
		case "consent":
			c.consent = m
		}
	}
}

// incoming makes the event of node i; a reason when it cannot.
func (p *parser) incoming(i int, call string, c *calls, in *Incoming) Reason {
	if call == "" {
		call = endpointCall(strings.ToLower(p.label(c.typ, 16)))
		if call == "" && c.typ == 0 && c.event != 0 {
			call = "track"
		}
		if call == "" || call == "batch" {
			return ReasonType
		}
	}
	if reason := p.identity(call, c, in); reason != "" {
		return reason
	}
	e := &in.Event
	var pr props
	p.props(c.properties, &pr)
	switch call {
	case "track":
		if e.Name = p.label(c.event, 256); e.Name == "" {
			if e.Name = p.label(c.name, 256); e.Name == "" {
				return ReasonName
			}
		}
		if e.Kind = KindOf(e.Name); e.Kind == juncture.EventPageViewed {
			e.Kind = p.page(c, &pr)
		}
	case "page", "screen":
		if e.Name = p.label(c.name, 256); e.Name == "" {
			e.Name = call
		}
		e.Kind = p.page(c, &pr)
	default:
		e.Name, e.Kind = call, juncture.EventIdentified
	}
	if call == "track" || call == "page" || call == "screen" {
		if reason := p.goods(e, &pr); reason != "" {
			return reason
		}
	}
	dated, reason := p.when(c, e)
	if reason != "" {
		return reason
	}
	received := p.o.Received
	if dated {
		received = time.Time{}
	}
	e.Session = p.session(c, &pr)
	e.Source = p.source(c)
	in.Consent = p.consent(c)
	in.UserAgent = p.userAgent(c)
	in.Raw = p.rawOf(i)
	e.ID = messageID(p.text(c.messageID), call, in.Raw, received)
	if e.Kind == juncture.EventOrderCompleted && e.Order == "" {
		e.Order = e.ID // two orders without a number are two orders
	}
	return ""
}

func (p *parser) identity(call string, c *calls, in *Incoming) Reason {
	for _, f := range []struct {
		dst *string
		at  int
	}{{&in.UserID, c.userID}, {&in.AnonymousID, c.anonymousID}, {&in.PreviousID, c.previousID}} {
		s := id(p.text(f.at))
		if len(s) > 256 && utf8.RuneCountInString(s) > 256 || control(s) {
			return ReasonBadID
		}
		*f.dst = s
	}
	switch {
	case call != "alias":
		in.PreviousID = ""
	case in.PreviousID == "":
		in.PreviousID, in.AnonymousID = in.AnonymousID, ""
	}
	if in.UserID == "" && (in.AnonymousID == "" || call == "alias") || call == "alias" && in.PreviousID == "" {
		return ReasonNoID
	}
	return ""
}

// id is an identifier as sent, less blanks around it; "" for the words that trackers send when they have none, since
// taking them would make one shopper of everybody.
func id(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 36 {
		return s
	}
	switch strings.ToLower(s) {
	case "null", "undefined", "none", "nil", "nan", "true", "false", "0", "-1", "[object object]", "{}", "[]", "(not set)", "n/a", "na", "unknown",
		"anonymous", "guest", "id", "distinct_id", "email", "not_authenticated", "00000000-0000-0000-0000-000000000000":
		return ""
	}
	return s
}

// label is a text of at most n bytes, trimmed and less e-mail addresses; "" for no node.
func (p *parser) label(i, n int) string {
	if i == 0 {
		return ""
	}
	s := strings.TrimSpace(p.text(i))
	if s == "" {
		return ""
	}
	return strings.TrimSpace(cut(unmailed(s), n))
}

func (p *parser) page(c *calls, pr *props) juncture.EventKind {
	var labels [5]string
	for k, i := range []int{c.category, pr[propCategory], pr[propPageType], c.name, pr[propName]} {
		labels[k] = p.label(i, 128)
	}
	path := p.label(pr[propPath], 512)
	if path == "" && c.context > 0 {
		if page := p.member(c.context, "page"); page > 0 {
			path = p.label(p.member(page, "path"), 512)
		}
	}
	return pageKind(labels[:], path)
}

// source is where the visit came from: the campaign's source and medium, such as "google / cpc", else the host of another
// site whose link was followed; "" where nothing says it, or what says it is about a sensitive trait.
func (p *parser) source(c *calls) string {
	if c.context == 0 {
		return ""
	}
	found := ""
	if campaign := p.member(c.context, "campaign"); campaign > 0 {
		var said []string
		for _, key := range []string{"source", "medium"} {
			if v := strings.ToLower(p.label(p.member(campaign, key), 30)); v != "" {
				said = append(said, v)
			}
		}
		found = strings.Join(said, " / ")
	}
	if page := p.member(c.context, "page"); found == "" && page > 0 {
		if from := host(p.text(p.member(page, "referrer"))); from != host(p.text(p.member(page, "url"))) {
			found = from
		}
	}
	if juncture.Withheld(found) {
		return ""
	}
	return found
}

// host is the host of an address without its www, in lower case; "" where it is none, or too long to be one.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil || len(u.Hostname()) > 63 {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
}

// userAgent is the context's.
func (p *parser) userAgent(c *calls) string {
	for _, in := range []int{c.context, p.context} {
		if in > 0 {
			if found := p.member(in, "useragent"); found > 0 {
				return cut(p.text(found), 1024)
			}
		}
	}
	return ""
}

// session is the first that says one: context, the call, the batch, the properties.
func (p *parser) session(c *calls, pr *props) string {
	found := 0
	if c.context > 0 {
		found = p.member(c.context, "sessionid")
	}
	if found == 0 {
		found = c.sessionID
	}
	if found == 0 && p.context > 0 {
		found = p.member(p.context, "sessionid")
	}
	if found == 0 {
		found = pr[propSession]
	}
	s := id(p.label(found, 256))
	if control(s) {
		return ""
	}
	return s
}

// when sets the event's time: what the sender says, moved by how far the sender's clock is off (Segment's rule:
// timestamp + (received - sentAt)), and never later than it was received. Where the sender gives both timestamp and
// originalTimestamp with a receivedAt, another server has moved timestamp already. dated: the event says its time itself.
func (p *parser) when(c *calls, e *juncture.Event) (dated bool, _ Reason) {
	at, said, ok := p.time(c.timestamp)
	done := ok && c.original > 0 && c.receivedAt > 0
	if !ok && c.original > 0 {
		at, said, ok = p.time(c.original)
	}
	dated = ok
	received := p.o.Received
	if received.IsZero() && !done && c.original > 0 && c.timestamp == 0 {
		received, _, _ = p.time(c.receivedAt)
	}
	switch {
	case said && !ok:
		return false, ReasonTime
	case !ok && received.IsZero():
		return false, ReasonTime
	case !ok:
		at = received
	case !done && !received.IsZero():
		sent := p.sentAt
		if sent == 0 {
			sent = c.sentAt
		}
		if sentAt, _, ok := p.time(sent); ok {
			at = at.Add(received.Sub(sentAt))
		}
	}
	if !received.IsZero() {
		if at.After(received) {
			at = received
		}
		age := p.o.MaxAge
		if age == 0 {
			age = EventMaxAge
		}
		if age > 0 && received.Sub(at) > age {
			return false, ReasonOld
		}
	}
	if y := at.Year(); y < 1971 || y > 2200 {
		return false, ReasonTime
	}
	e.At = at.UTC().Truncate(time.Millisecond)
	return dated, ""
}

// time reads a time; said: there is something to read.
func (p *parser) time(i int) (at time.Time, said, ok bool) {
	if i == 0 {
		return time.Time{}, false, false
	}
	s := strings.TrimSpace(p.text(i))
	if s == "" {
		return time.Time{}, false, false
	}
	at, ok = parseTime(s)
	return at, true, ok
}

// consent reads Segment's context.consent.categoryPreferences, RudderStack's consentManagement and GA4's consent.
func (p *parser) consent(c *calls) juncture.Consent {
	var out juncture.Consent
	for _, in := range []int{c.context, p.context} {
		if in == 0 {
			continue
		}
		if at := p.member(in, "consent"); p.is(at, '{') {
			p.preferences(at, &out)
		}
		if at := p.member(in, "consentmanagement"); p.is(at, '{') {
			p.consentIDs(p.member(at, "allowedconsentids"), "granted", &out)
			p.consentIDs(p.member(at, "deniedconsentids"), "denied", &out)
		}
		if out != (juncture.Consent{}) {
			return out
		}
	}
	if p.is(c.consent, '{') {
		p.preferences(c.consent, &out)
	}
	return out
}

// preferences reads {category: true} at any of the depths that senders put it. personalization follows the category of
// that name; where there is none, functional or preferences; where there is none, what is said of marketing.
func (p *parser) preferences(at int, out *juncture.Consent) {
	if inner := p.member(at, "categorypreferences"); p.is(inner, '{') {
		at = inner
	}
	var said [3]string // personalization by rank
	var buf [40]byte
	for m := range p.each(at) {
		answer := ""
		switch strings.ToLower(p.text(m)) {
		case "true", "granted", "1", "yes", "allow", "allowed":
			answer = "granted"
		case "false", "denied", "0", "no", "deny":
			answer = "denied"
		default:
			continue
		}
		analytics, rank := purpose(string(p.plain(m, &buf)))
		if analytics {
			stricter(&out.Analytics, answer)
		} else if rank >= 0 {
			stricter(&said[rank], answer)
		}
	}
	for _, s := range said {
		if out.Personalization == "" {
			out.Personalization = s
		}
	}
}

func (p *parser) consentIDs(list int, answer string, out *juncture.Consent) {
	if !p.is(list, '[') {
		return
	}
	for m := range p.each(list) {
		if analytics, rank := purpose(plain(p.text(m))); analytics {
			stricter(&out.Analytics, answer)
		} else if rank >= 0 {
			stricter(&out.Personalization, answer)
		}
	}
}

// purpose names what a consent category is for; the C numbers are OneTrust's. rank is of personalization, -1 for none.
func purpose(category string) (analytics bool, rank int) {
	switch category {
	case "analytics", "analyticsstorage", "performance", "statistics", "statistical", "measurement", "c0002":
		return true, -1
	case "personalization", "personalisation", "personalizationstorage", "personalized", "sitepersonalization":
		return false, 0
	case "functional", "functionality", "functionalitystorage", "preferences", "c0003":
		return false, 1
	case "marketing", "advertising", "targeting", "adpersonalization", "c0004":
		return false, 2
	}
	return false, -1
}

// stricter keeps a denial over a grant.
func stricter(dst *string, answer string) {
	if *dst != "denied" {
		*dst = answer
	}
}
