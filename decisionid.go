package juncture

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// A decision id is base64url without padding of
//
//	version (1) · key id (1) · length-prefixed payload · HMAC-SHA-256 of all before it, cut to 16 bytes
//
// The payload is binary: big-endian integers, then length-prefixed text. It is deterministic: the same claims under
// the same key give the same id, so the ledger need not keep it.
const (
	decisionIDVersion = 1
	macSize           = 16
	maxDecisionID     = 1024 // characters; the longest legal one is under 600
)

// SigningKey signs decision ids. Two or more live while rotating: the newest signs, all open.
type SigningKey struct {
	ID      uint8
	Secret  []byte    // at least 32 bytes
	Retired time.Time // zero: live. A retired key only opens
}

// Keyring signs and opens decision ids. It is immutable and safe for concurrent use.
type Keyring struct {
	signer SigningKey
	keys   map[uint8]SigningKey
}

// NewKeyring takes the keys; the one with the highest id that is not retired signs. The error is CodeInternal: no live
// key, a secret shorter than 32 bytes, or an id twice.
func NewKeyring(keys []SigningKey) (*Keyring, error) {
	r := &Keyring{keys: make(map[uint8]SigningKey, len(keys))}
	keys = slices.SortedFunc(slices.Values(keys), func(a, b SigningKey) int { return int(a.ID) - int(b.ID) })
	live := false
	for _, k := range keys {
		if _, dup := r.keys[k.ID]; dup || len(k.Secret) < 32 {
			return nil, Errorf(CodeInternal, "signing key %d is repeated or shorter than 32 bytes", k.ID)
		}
		r.keys[k.ID] = k
		if k.Retired.IsZero() {
			r.signer, live = k, true
		}
	}
	if !live {
		return nil, Errorf(CodeInternal, "no live signing key").WithHint("juncture keys rotate")
	}
	return r, nil
}

// SignerID returns the id of the key that signs.
func (r *Keyring) SignerID() uint8 { return r.signer.ID }

// Sign returns the decision id of the claims under the signing key.
func (r *Keyring) Sign(c Claims) string { return r.sign(r.signer, c) }

// SignWith returns the id as key signed it; false when that key is gone.
func (r *Keyring) SignWith(key uint8, c Claims) (string, bool) {
	k, ok := r.keys[key]
	if !ok {
		return "", false
	}
	return r.sign(k, c), true
}

func (r *Keyring) sign(k SigningKey, c Claims) string {
	b := make([]byte, 0, 192)
	b = append(b, decisionIDVersion, k.ID, 0, 0)
	b = appendClaims(b, c)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-4))
	m := hmac.New(sha256.New, k.Secret)
	m.Write(b)
	b = append(b, m.Sum(nil)[:macSize]...)
	return base64.RawURLEncoding.EncodeToString(b)
}

var errDecisionID = Error{Code: CodeDecisionNotFound, Message: "no such decision",
	Hint: "send the decisionId exactly as /choose gave it", Field: "decisionId"}

// Open checks a decision id and returns its claims. Anything forged, altered or malformed is CodeDecisionNotFound.
func (r *Keyring) Open(id string) (Claims, error) {
	fail := func() (Claims, error) { e := errDecisionID; return Claims{}, &e }
	if len(id) > maxDecisionID {
		return fail()
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(id)
	if err != nil || len(b) < 4+macSize || b[0] != decisionIDVersion {
		return fail()
	}
	k, ok := r.keys[b[1]]
	payload, mac := b[4:len(b)-macSize], b[len(b)-macSize:]
	if !ok || int(binary.BigEndian.Uint16(b[2:])) != len(payload) {
		return fail()
	}
	m := hmac.New(sha256.New, k.Secret)
	m.Write(b[:len(b)-macSize])
	if subtle.ConstantTimeCompare(m.Sum(nil)[:macSize], mac) != 1 {
		return fail()
	}
	c, ok := readClaims(payload)
	if !ok || base64.RawURLEncoding.EncodeToString(b) != id { // one spelling only: DecodeString skips line ends
		return fail()
	}
	return c, nil
}

const (
	flagIgnored = 1 << iota
	flagDeferred
)

func appendClaims(b []byte, c Claims) []byte {
	b = binary.BigEndian.AppendUint64(b, c.Serial)
	b = binary.BigEndian.AppendUint64(b, uint64(c.At.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Until.UnixMilli()))
	b = binary.BigEndian.AppendUint32(b, uint32(c.Arm))
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(c.Probability))
	var flags byte
	if c.Ignored {
		flags |= flagIgnored
	}
	if c.Deferred {
		flags |= flagDeferred
	}
	b = append(b, byte(c.Group), flags)
	b = appendText(b, c.Experiment)
	return appendText(b, c.Intersection.Key())
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func readClaims(b []byte) (Claims, bool) {
	const fixed = 8 + 8 + 8 + 4 + 8 + 1 + 1
	if len(b) < fixed {
		return Claims{}, false
	}
	c := Claims{
		Serial:      binary.BigEndian.Uint64(b),
		At:          time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:]))).UTC(),
		Until:       time.UnixMilli(int64(binary.BigEndian.Uint64(b[16:]))).UTC(),
		Arm:         ArmID(binary.BigEndian.Uint32(b[24:])),
		Probability: math.Float64frombits(binary.BigEndian.Uint64(b[28:])),
		Group:       Group(b[36]),
		Ignored:     b[37]&flagIgnored != 0,
		Deferred:    b[37]&flagDeferred != 0,
	}
	b = b[fixed:]
	experiment, b, ok := readText(b)
	if !ok {
		return Claims{}, false
	}
	key, b, ok := readText(b)
	if !ok || len(b) != 0 {
		return Claims{}, false
	}
	x, err := ParseIntersection(key)
	c.Experiment, c.Intersection = experiment, x
	return c, err == nil
}

func readText(b []byte) (string, []byte, bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return "", nil, false
	}
	return string(b[2 : 2+n]), b[2+n:], true
}
