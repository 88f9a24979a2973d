package layers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
)

// codecVersion opens every encoded profile.
const codecVersion = 3

var errMalformed = errors.New("layers: malformed profile")

// MarshalBinary is the profile in its compact form: a version, varints, and text that repeats written once. Head is not
// written; it is folded again from Base and the ring. What is longer than a profile may hold is written cut:
// UnmarshalBinary reads whatever was written.
func (p *Profile) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, 256+len(p.Ring)*48)
	b = append(b, codecVersion)
	text := map[string]int{}
	str := func(v string) { // 0 and the text when it is new, else 1 + its place
		if i, ok := text[v]; ok {
			b = binary.AppendUvarint(b, uint64(i)+1)
			return
		}
		text[v] = len(text)
		b = append(b, 0)
		b = binary.AppendUvarint(b, uint64(len(v)))
		b = append(b, v...)
	}
	i := func(v int64) { b = binary.AppendVarint(b, v) }
	str(short(p.Shopper, maxShopper))
	i(p.first)
	i(p.last)
	b = append(b, byte(kinds))
	for _, n := range p.Counts {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = p.Base.Moment.AppendBinary(b)
	b = p.Base.Trajectory.AppendBinary(b)
	b = p.Goods.AppendBinary(b)
	b = append(b, byte(len(p.Ring)))
	at := int64(0)
	for j := range p.Ring {
		r := &p.Ring[j]
		i(r.At - at)
		at = r.At
		b = append(b, byte(r.Kind), byte(len(r.Lines)))
		for _, v := range []string{r.ID, r.Session, r.Category, r.Order, r.Source} {
			str(v)
		}
		i(r.Value)
		for _, l := range r.Lines {
			str(l.Product)
			str(l.Category)
			i(int64(l.Quantity))
			i(l.Price)
		}
	}
	return b, nil
}

type decoder struct {
	b    []byte
	text []string
	bad  bool
}

func (d *decoder) i() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) u(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > most {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) str(most int) string {
	place := d.u(1 << 20)
	v := ""
	switch {
	case d.bad:
	case place == 0:
		n := int(d.u(uint64(most)))
		if n > len(d.b) {
			d.bad = true
			return ""
		}
		v = string(d.b[:n])
		d.b = d.b[n:]
		d.text = append(d.text, v)
	case int(place) <= len(d.text):
		v = d.text[place-1]
	default:
		d.bad = true
	}
	d.bad = d.bad || len(v) > most
	return v
}

// UnmarshalBinary reads what MarshalBinary wrote, and nothing larger than a profile may be.
func (p *Profile) UnmarshalBinary(b []byte) (err error) {
	if len(b) == 0 || b[0] < 1 || b[0] > codecVersion {
		return fmt.Errorf("%w: not version 1 to %d", errMalformed, codecVersion)
	}
	version := b[0]
	d := &decoder{b: b[1:]}
	q := Profile{Shopper: d.str(maxShopper), first: d.i(), last: d.i()}
	for k := range int(d.byte()) {
		if n := uint32(d.u(1<<32 - 1)); k < kinds {
			q.Counts[k] = n
		} else { // a kind of a later version
			q.Counts[juncture.EventOther] += n
		}
	}
	if d.bad {
		return errMalformed
	}
	if d.b, err = q.Base.Moment.ReadBinary(d.b); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	if d.b, err = q.Base.Trajectory.ReadBinary(d.b, version >= 3); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	if version >= 2 { // before, it was not kept: the ring tells what it can
		if q.Goods, d.b, err = catalogue.DecodeState(d.b); err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
	}
	n := int(d.byte())
	if d.bad || n > RingSize {
		return errMalformed
	}
	q.Ring = make([]Recent, 0, n)
	ids := make(map[string]bool, n)
	at := int64(0)
	for range n {
		r := Recent{At: at + d.i(), Kind: juncture.EventKind(d.byte())}
		lines := int(d.byte())
		if d.bad || r.At < 0 || r.At > lastMs || lines > maxLines {
			return errMalformed
		}
		at = r.At
		r.ID, r.Session, r.Category, r.Order, r.Value = d.str(maxID), d.str(maxID), d.str(maxName), d.str(maxID), int64(0)
		if version >= 3 { // before, it was not kept
			r.Source = d.str(maxName)
		}
		r.Value = d.i()
		for range lines {
			r.Lines = append(r.Lines, juncture.Line{Product: d.str(maxName), Category: d.str(maxName), Quantity: int(d.i()), Price: d.i()})
		}
		r.Lines = slices.Clip(r.Lines)
		if d.bad || ids[r.ID] {
			return errMalformed
		}
		ids[r.ID] = r.ID != ""
		q.Ring = append(q.Ring, r)
	}
	if len(d.b) > 0 || !slices.IsSortedFunc(q.Ring, compareRecent) {
		return errMalformed
	}
	if version < 2 {
		for i := range q.Ring {
			e := q.Ring[i].Event()
			q.Goods.Fold(&e, catalogue.Settings{})
		}
	}
	q.refold()
	*p = q
	return nil
}
