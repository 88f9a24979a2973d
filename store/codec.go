package store

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/juncture/juncture"
)

// The blobs of deltas, cells and rankings: unsigned varints for numbers that are never negative, zig-zag varints for
// the rest, length-prefixed text. The first byte is the format's version.
const codecVersion = 2

// rankingVersion opens a ranking: 2 has the policy's probabilities beside the random group's, 1 has none.
const rankingVersion = 2

// creditsVersion opens credits.
const creditsVersion = 1

type encoder struct{ b []byte }

func (e *encoder) uint(v uint64)   { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) int(v int64)     { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) text(s string)   { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) float(v float64) { e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(v)) }
func (e *encoder) tally(t juncture.Tally) {
	for _, v := range [...]int64{t.Trials, t.Outcomes, t.Successes, t.Value, t.LogValue, t.LogValueSq} {
		e.int(v)
	}
}

type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = fmt.Errorf("stored blob is damaged")
	}
	d.b = nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) text() string {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) float() float64 {
	if len(d.b) < 8 {
		d.fail()
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(d.b))
	d.b = d.b[8:]
	return v
}

func (d *decoder) tally() juncture.Tally {
	return juncture.Tally{Trials: d.int(), Outcomes: d.int(), Successes: d.int(), Value: d.int(), LogValue: d.int(), LogValueSq: d.int()}
}

// count reads a number of items that take at least one byte each.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(n)
}

// version reads the format's version, 1 up to the given one.
func (d *decoder) version(most byte) byte {
	if len(d.b) == 0 || d.b[0] < 1 || d.b[0] > most {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) done() error {
	if d.err == nil && len(d.b) != 0 {
		d.fail()
	}
	return d.err
}

func encodeDeltas(deltas []juncture.Delta) []byte {
	e := encoder{b: []byte{codecVersion}}
	e.uint(uint64(len(deltas)))
	for _, d := range deltas {
		e.text(d.Experiment)
		e.text(d.Intersection.Key())
		e.uint(uint64(d.Arm))
		e.uint(uint64(d.Group))
		e.text(d.Event)
		e.uint(uint64(d.Delay))
		e.int(int64(d.Bucket))
		e.tally(d.Tally)
	}
	return e.b
}

func decodeDeltas(b []byte) ([]juncture.Delta, error) {
	d := decoder{b: b}
	version := d.version(codecVersion)
	out := make([]juncture.Delta, 0, d.count())
	for range cap(out) {
		var v juncture.Delta
		v.Experiment = d.text()
		key := d.text()
		v.Arm = juncture.ArmID(d.uint())
		v.Group = juncture.Group(d.uint())
		v.Event = d.text()
		v.Delay, v.Bucket = d.bucket(version)
		v.Tally = d.tally()
		if d.err != nil {
			return nil, d.err
		}
		x, err := juncture.ParseIntersection(key)
		if err != nil {
			return nil, err
		}
		v.Intersection = x
		out = append(out, v)
	}
	return out, d.done()
}

func encodeCell(rows []juncture.CellRow, marks []juncture.Mark) []byte {
	e := encoder{b: []byte{codecVersion}}
	e.uint(uint64(len(marks)))
	for _, m := range marks {
		e.uint(uint64(m.Node))
		e.int(m.Seq)
	}
	e.uint(uint64(len(rows)))
	for _, r := range rows {
		e.uint(uint64(r.Arm))
		e.uint(uint64(r.Group))
		e.text(r.Event)
		e.uint(uint64(r.Delay))
		e.int(int64(r.Bucket))
		e.tally(r.Tally)
	}
	return e.b
}

// bucket reads the delay and the bucket of a tally; before they were kept, all is old.
func (d *decoder) bucket(version byte) (uint8, juncture.Bucket) {
	if version < 2 {
		return 0, juncture.BucketOlder
	}
	delay := d.uint()
	if delay > juncture.DelayClasses {
		d.fail()
	}
	return uint8(delay), juncture.Bucket(d.int())
}

func decodeCell(b []byte) ([]juncture.CellRow, []juncture.Mark, error) {
	d := decoder{b: b}
	version := d.version(codecVersion)
	marks := make([]juncture.Mark, 0, d.count())
	for range cap(marks) {
		marks = append(marks, juncture.Mark{Node: uint16(d.uint()), Seq: d.int()})
	}
	rows := make([]juncture.CellRow, 0, d.count())
	for range cap(rows) {
		r := juncture.CellRow{Arm: juncture.ArmID(d.uint()), Group: juncture.Group(d.uint()), Event: d.text()}
		r.Delay, r.Bucket = d.bucket(version)
		r.Tally = d.tally()
		rows = append(rows, r)
	}
	return rows, marks, d.done()
}

// encodeCredits writes the touches that share an outcome; nil where it is one decision's alone.
func encodeCredits(credits []juncture.Credit) []byte {
	if len(credits) == 0 {
		return nil
	}
	e := encoder{b: []byte{creditsVersion}}
	e.uint(uint64(len(credits)))
	for _, c := range credits {
		e.uint(c.Serial)
		e.b = binary.LittleEndian.AppendUint64(e.b, math.Float64bits(c.Share))
	}
	return e.b
}

func decodeCredits(b []byte) ([]juncture.Credit, error) {
	if b == nil {
		return nil, nil
	}
	d := decoder{b: b}
	d.version(creditsVersion)
	out := make([]juncture.Credit, 0, d.count())
	for range cap(out) {
		serial := d.uint()
		if len(d.b) < 8 {
			d.fail()
			break
		}
		out = append(out, juncture.Credit{Serial: serial, Share: math.Float64frombits(binary.LittleEndian.Uint64(d.b))})
		d.b = d.b[8:]
	}
	return out, d.done()
}

// encodeRanking writes the eligible arms with their probabilities, and what the policy would have given each where the
// random group drew.
func encodeRanking(ranking []juncture.Ranked, policy []float64) []byte {
	e := encoder{b: []byte{1}}
	if policy != nil {
		e.b[0] = rankingVersion
	}
	e.uint(uint64(len(ranking)))
	for _, r := range ranking {
		e.uint(uint64(r.Arm))
		e.float(r.Probability)
	}
	if policy != nil {
		for i := range ranking {
			e.float(policy[i])
		}
	}
	return e.b
}

func decodeRanking(b []byte) (ranking []juncture.Ranked, policy []float64, _ error) {
	d := decoder{b: b}
	version := d.version(rankingVersion)
	ranking = make([]juncture.Ranked, 0, d.count())
	for range cap(ranking) {
		ranking = append(ranking, juncture.Ranked{Arm: juncture.ArmID(d.uint()), Probability: d.float()})
	}
	if version >= 2 {
		policy = make([]float64, len(ranking))
		for i := range policy {
			policy[i] = d.float()
		}
	}
	return ranking, policy, d.done()
}
