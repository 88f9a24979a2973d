package intake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/juncture/juncture"
)

// Limits of the tracking API, Segment's own.
const (
	MaxEvent      = 32 << 10  // bytes of one event
	MaxEventBatch = 500 << 10 // bytes of a batch
	MaxEvents     = 2500      // of a batch
)

// EventMaxAge is how old a live event may be; devices keep events while offline, and broken clocks make older ones.
const EventMaxAge = 3 * 365 * 24 * time.Hour

// TrackingOptions of ParseTracking and ReadEvents.
type TrackingOptions struct {
	Received time.Time     // when the body arrived; zero for imports, which then trust the times in the file
	Currency string        // the store's; amounts in another one are not taken
	MaxEvent int           // bytes of one event; 0 means MaxEvent
	MaxBatch int           // bytes of a body; 0 means MaxEventBatch
	MaxAge   time.Duration // older events are quarantined; 0 means EventMaxAge, less than 0 any age
}

// Tracked is what a body of the tracking API holds.
type Tracked struct {
	WriteKey string // in the body; empty when it came by Basic auth
	Items    []TrackedItem
}

// TrackedItem is one event of a body, in order: Incoming, or Broken where that is not nil.
type TrackedItem struct {
	Incoming Incoming
	Broken   *Broken
}

// Incoming is an event as it came in: cleaned, and who it is about.
type Incoming struct {
	Event       juncture.Event // Shopper is empty: identities are resolved by who keeps them
	UserID      string         // of a known shopper; at most 256 characters, like the other two
	AnonymousID string
	PreviousID  string           // of an alias: the id that becomes UserID
	Consent     juncture.Consent // "granted", "denied", or empty when not said
	UserAgent   string           // the shopper's, where the message's context says it; at most 1,024 bytes
	Raw         json.RawMessage  // as sent, compact, less personal data and keys; what the log keeps
}

// Broken is an event that is put aside.
type Broken struct {
	Reason  Reason
	Message string // one sentence for the sender
	Raw     string // the beginning of the event, less personal data; at most 512 bytes, not always whole JSON
}

// Reason is why an event was put aside, as it is counted.
type Reason string

// The reasons.
const (
	ReasonNotObject Reason = "not_an_object"
	ReasonTooLarge  Reason = "too_large"
	ReasonUTF8      Reason = "not_utf8"
	ReasonNUL       Reason = "nul_character"
	ReasonDeep      Reason = "too_deep"
	ReasonRange     Reason = "number_out_of_range"
	ReasonType      Reason = "unknown_type"
	ReasonName      Reason = "no_event_name"
	ReasonNoID      Reason = "no_id"
	ReasonBadID     Reason = "bad_id"
	ReasonTime      Reason = "bad_time"
	ReasonOld       Reason = "too_old"
	ReasonCurrency  Reason = "other_currency"
	ReasonValue     Reason = "bad_value"
)

func (r Reason) message() string {
	switch r {
	case ReasonNotObject:
		return "an event is a JSON object"
	case ReasonTooLarge:
		return "the event is larger than 32 KB"
	case ReasonUTF8:
		return "the event is not UTF-8"
	case ReasonNUL:
		return "a text holds the character U+0000"
	case ReasonDeep:
		return "objects and lists are nested deeper than 16"
	case ReasonRange:
		return "a number is out of range"
	case ReasonType:
		return "type is none of track, identify, page, screen, group, alias"
	case ReasonName:
		return "a track call needs the name of its event"
	case ReasonNoID:
		return "neither userId nor anonymousId says whose event it is"
	case ReasonBadID:
		return "an id is longer than 256 characters or holds control characters"
	case ReasonTime:
		return "the timestamp cannot be read; send 2026-11-20T09:30:00Z"
	case ReasonOld:
		return "the event is too old to be live; import it instead"
	case ReasonCurrency:
		return "the order is in another currency than the store's"
	case ReasonValue:
		return "the order's total is negative or too large"
	}
	return string(r)
}

// endpointCall returns the call that an endpoint takes: "batch", "track", ... or "" for none.
func endpointCall(endpoint string) string {
	switch endpoint {
	case "batch", "b", "import":
		return "batch"
	case "track", "t":
		return "track"
	case "identify", "i":
		return "identify"
	case "page", "p":
		return "page"
	case "screen", "s":
		return "screen"
	case "group", "g":
		return "group"
	case "alias", "a":
		return "alias"
	}
	return ""
}

// ParseTracking reads a body of the Segment HTTP tracking API; endpoint is the last part of the route, long or short
// (batch or b, track or t, ...). It is JSON whatever the content type says. An event that cannot be taken becomes a
// Broken item and harms no other; what has no known name is taken as EventOther. The body may be reused afterwards.
//
// Errors: CodeNotFound (endpoint), CodeTooLarge (the body, or too many events), CodeInvalidRequest (not JSON, so that no
// event can be told from another, or a batch without its list).
func ParseTracking(endpoint string, body []byte, o TrackingOptions) (Tracked, error) {
	call := endpointCall(endpoint)
	if call == "" {
		return Tracked{}, juncture.Errorf(juncture.CodeNotFound, "there is no tracking call %.32q", endpoint)
	}
	if limit := cmp.Or(o.MaxBatch, MaxEventBatch); len(body) > limit {
		return Tracked{}, tooLarge(limit)
	}
	base := 0
	if call == "batch" {
		base = 2
	}
	t, err := readTape(body, base)
	if err != nil {
		return Tracked{}, err
	}
	if t.nodes[0].kind != '{' {
		return Tracked{}, juncture.Errorf(juncture.CodeInvalidRequest, "the body is not a JSON object").WithHint("send one JSON object")
	}
	p := parser{tape: t, o: o, out: make([]byte, 0, len(body))}
	if call != "batch" {
		item := p.item(0, call)
		key := id(t.text(t.member(0, "writekey")))
		return Tracked{WriteKey: key, Items: []TrackedItem{item}}, nil
	}
	return p.batch()
}

// parser makes events of one body.
type parser struct {
	*tape
	o       TrackingOptions
	out     []byte // the Raws, one after another
	sentAt  int    // of the batch, as are context and consent; 0 for none
	context int
}

func (p *parser) batch() (Tracked, error) {
	const form = `send {"batch": [{"type": "track", ...}]}`
	var list int
	var out Tracked
	var buf [40]byte
	for c := range p.each(0) {
		switch string(p.plain(c, &buf)) {
		case "batch":
			list = c
		case "writekey":
			out.WriteKey = id(p.text(c))
		case "sentat":
			p.sentAt = c
		case "context":
			p.context = c
		}
	}
	if !p.is(list, '[') {
		return Tracked{}, juncture.Errorf(juncture.CodeInvalidRequest, "batch is missing or not a list").WithHint(form).WithField("batch")
	}
	n := 0
	for range p.each(list) {
		n++
	}
	if n > MaxEvents {
		return Tracked{}, juncture.Errorf(juncture.CodeTooLarge, "more than %d events", MaxEvents).WithHint("send several batches").WithField("batch")
	}
	out.Items = make([]TrackedItem, 0, n)
	for c := range p.each(list) {
		out.Items = append(out.Items, p.item(c, ""))
	}
	return out, nil
}

// item makes one event of node i; call is "" where the event says itself what it is.
func (p *parser) item(i int, call string) TrackedItem {
	reason, broken := p.fault(i)
	raw := p.raw(i)
	switch {
	case p.nodes[i].kind != '{':
		reason, broken = ReasonNotObject, true
	case len(raw) > cmp.Or(p.o.MaxEvent, MaxEvent):
		reason, broken = ReasonTooLarge, true
	case !broken && !utf8.Valid(raw):
		reason, broken = ReasonUTF8, true
	}
	var in Incoming
	if !broken {
		var c calls
		p.calls(i, &c)
		reason = p.incoming(i, call, &c, &in)
	}
	if reason != "" {
		return TrackedItem{Broken: p.broken(i, reason)}
	}
	return TrackedItem{Incoming: in}
}

const brokenPrefix = 512 // bytes

func (p *parser) broken(i int, reason Reason) *Broken {
	b := &Broken{Reason: reason, Message: reason.message()}
	if p.nodes[i].kind != '{' {
		return b
	}
	raw := p.clean(nil, i, placeEvent)
	b.Raw = cut(strings.ToValidUTF8(string(raw[:min(len(raw), brokenPrefix)]), "\uFFFD"), brokenPrefix)
	return b
}

// rawOf appends the event as the log keeps it to the parser's buffer.
func (p *parser) rawOf(i int) json.RawMessage {
	from := len(p.out)
	p.out = p.clean(p.out, i, placeEvent)
	return p.out[from:len(p.out):len(p.out)]
}

// messageID is the sender's, or made of the event when there is none: the same event sent twice has the same id. Where it
// has no time either, that is said twice only within the minute that it was received in; received is zero otherwise.
func messageID(sent, call string, raw []byte, received time.Time) string {
	if sent != "" && len(sent) <= 128 && !control(sent) {
		return sent
	}
	parts := [][]byte{[]byte(call), raw}
	switch {
	case sent != "":
		parts[1] = []byte(sent)
	case !received.IsZero():
		parts = append(parts, strconv.AppendInt(nil, received.Unix()/60, 10))
	}
	sum := sha256.Sum256(bytes.Join(parts, []byte{0}))
	return "auto-" + hex.EncodeToString(sum[:16])
}

// cut shortens a text to at most n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func control(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0
}
