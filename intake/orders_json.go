package intake

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"unicode/utf8"

	"github.com/juncture/juncture"
)

// json reads one order a line.
func (o *orders) json(br *bufio.Reader) error {
	for l, err := range lines(br, MaxEventBatch) {
		if err == nil {
			var e juncture.Event
			if e, err = o.object(l.b, l.line); err == nil {
				if !o.give(e, nil) {
					return nil
				}
				continue
			}
		}
		if !o.give(juncture.Event{}, err) {
			return nil
		}
	}
	return nil
}

// object makes the event of one order as JSON, or of a tracking call of one.
func (o *orders) object(b []byte, line int) (juncture.Event, error) {
	t, err := readTape(b, 0)
	if err != nil {
		return juncture.Event{}, rowError(line, "%s", err.Message)
	}
	p := parser{tape: t, o: TrackingOptions{Currency: o.currency, MaxAge: -1, MaxEvent: MaxEventBatch}}
	if t.nodes[0].kind == '{' && (t.member(0, "event") > 0 || t.member(0, "properties") > 0) {
		item := p.item(0, "track")
		in := item.Incoming
		switch in.Event.Shopper = firstOf(in.UserID, in.AnonymousID); {
		case item.Broken != nil:
			return juncture.Event{}, rowError(line, "%s: %s", item.Broken.Reason, item.Broken.Message)
		case in.Event.Kind < juncture.EventOrderCompleted || in.Event.Kind > juncture.EventOrderRefunded:
			return juncture.Event{}, rowError(line, "%.40q is no order", in.Event.Name)
		}
		return in.Event, nil
	}
	reason, broken := t.fault(0)
	if !broken && t.nodes[0].kind != '{' {
		reason, broken = ReasonNotObject, true
	}
	if !broken && !utf8.Valid(b) {
		reason, broken = ReasonUTF8, true
	}
	if broken {
		return juncture.Event{}, rowError(line, "%s", reason.message())
	}
	var pr props
	t.propsOf(0, &pr)
	cell := [ocCount]string{ocOrder: t.say(&pr, propOrder, propTransaction, propID), ocCustomer: t.text(pr[propCustomer]),
		ocDate: t.text(pr[propDate]), ocStatus: t.text(pr[propStatus]), ocCurrency: t.text(pr[propCurrency])}
	if c := pr[propCustomer]; t.is(c, '{') {
		cell[ocCustomer] = t.text(t.member(c, "id"))
	}
	bk := basket{line: line}
	if err := o.begin(&bk, &cell); err != nil {
		return juncture.Event{}, err
	}
	kind := juncture.EventOrderCompleted
	switch k := KindOf(bk.status); {
	case bk.status == "refunded", bk.status == "return", k == juncture.EventOrderRefunded:
		kind = juncture.EventOrderRefunded
	case bk.status == "cancelled", bk.status == "canceled", k == juncture.EventOrderCancelled:
		kind = juncture.EventOrderCancelled
	}
	e := orderEvent(bk.event, kind)
	number := e.Order
	if reason := p.goods(&e, &pr); reason != "" {
		return juncture.Event{}, rowError(line, "%s", reason.message())
	}
	if e.Order = number; number == "" {
		sum := sha256.Sum256(b)
		e.Order = "row-" + hex.EncodeToString(sum[:8])
	}
	return orderEvent(e, kind), nil
}
