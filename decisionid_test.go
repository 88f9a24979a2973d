package juncture_test

import (
	"bytes"
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	. "github.com/juncture/juncture"
)

func signingKey(id uint8) SigningKey {
	return SigningKey{ID: id, Secret: bytes.Repeat([]byte{id, 0xA5}, 16)}
}

func keyring(t testing.TB, keys ...SigningKey) *Keyring {
	t.Helper()
	r, err := NewKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sampleClaims() Claims {
	at := time.Date(2026, 1, 15, 12, 0, 0, 123e6, time.UTC)
	return Claims{Serial: 1<<NodeShift | 42, At: at, Until: at.Add(24 * time.Hour), Experiment: "hero",
		Intersection: Intersection{"loyal.at-risk._", "c1", "high.rising", "dresses"}, Arm: 7, Group: GroupPolicy, Probability: 0.123456789}
}

func TestDecisionIDsRoundTrip(t *testing.T) {
	ring := keyring(t, signingKey(1))
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "at")).UTC()
		c := Claims{
			Serial: rapid.Uint64().Draw(t, "serial"), At: at, Until: at.Add(time.Duration(rapid.Int64Range(0, 5e6).Draw(t, "window")) * time.Second),
			Experiment: rapid.StringMatching(`[a-z0-9_-]{0,64}`).Draw(t, "experiment"), Intersection: intersections().Draw(t, "intersection"),
			Arm: ArmID(rapid.Uint32().Draw(t, "arm")), Group: Group(rapid.IntRange(0, 4).Draw(t, "group")),
			Probability: rapid.Float64Range(0, 1).Draw(t, "p"), Ignored: rapid.Bool().Draw(t, "ignored"), Deferred: rapid.Bool().Draw(t, "deferred"),
		}
		id := ring.Sign(c)
		back, err := ring.Open(id)
		if err != nil || back != c {
			t.Fatalf("%+v came back as %+v, %v", c, back, err)
		}
		if again := ring.Sign(c); again != id {
			t.Fatal("the same claims have two ids")
		}
		if len(id) > 600 {
			t.Fatalf("an id of %d characters", len(id))
		}
	})
}

func refused(t *testing.T, ring *Keyring, what, id string) {
	t.Helper()
	if c, err := ring.Open(id); ErrorCode(err) != CodeDecisionNotFound || c != (Claims{}) {
		t.Errorf("%s: opened as %+v, %v", what, c, err)
	}
}

func TestEveryBitOfADecisionIDCounts(t *testing.T) {
	ring := keyring(t, signingKey(1), signingKey(2))
	id := ring.Sign(sampleClaims())
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		b := bytes.Clone(raw)
		b[i/8] ^= 1 << (i % 8)
		refused(t, ring, "a bit flipped", base64.RawURLEncoding.EncodeToString(b))
	}
	for i := range len(id) {
		refused(t, ring, "cut short", id[:i])
		refused(t, ring, "cut in front", id[i+1:])
	}
	for i := range raw {
		refused(t, ring, "bytes cut", base64.RawURLEncoding.EncodeToString(raw[:i]))
	}
}

func TestADecisionIDHasOneSpelling(t *testing.T) {
	ring := keyring(t, signingKey(1))
	var id string
	var raw []byte
	// Claims whose id needs padding and holds both characters that the alphabets differ in.
	for c := sampleClaims(); ; c.Serial++ {
		id = ring.Sign(c)
		raw, _ = base64.RawURLEncoding.DecodeString(id)
		if len(raw)%3 == 0 {
			c.Experiment += "x"
			id = ring.Sign(c)
			raw, _ = base64.RawURLEncoding.DecodeString(id)
		}
		if strings.ContainsAny(id, "-") && strings.ContainsAny(id, "_") && len(raw)%3 != 0 {
			break
		}
	}
	if _, err := ring.Open(id); err != nil {
		t.Fatal(err)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, id[len(id)-1])
	for what, s := range map[string]string{
		"empty": "", "padding": base64.URLEncoding.EncodeToString(raw), "the other alphabet": base64.RawStdEncoding.EncodeToString(raw),
		"a newline after": id + "\n", "a newline inside": id[:10] + "\n" + id[10:], "a return inside": id[:10] + "\r\n" + id[10:],
		"a space": id + " ", "twice": id + id, "loose last bits": id[:len(id)-1] + string(alphabet[last^1]), "more after": id + "A",
		"too long": strings.Repeat("A", 1<<20), "not base64": strings.Repeat("ä", 100),
	} {
		refused(t, ring, what, s)
	}
}

func TestKeysRotate(t *testing.T) {
	c := sampleClaims()
	one := keyring(t, signingKey(1))
	old := one.Sign(c)
	retired := signingKey(1)
	retired.Retired = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	both := keyring(t, signingKey(2), retired)
	if both.SignerID() != 2 {
		t.Errorf("key %d signs, not 2", both.SignerID())
	}
	if got, err := both.Open(old); err != nil || got != c {
		t.Errorf("an id from before the rotation: %+v, %v", got, err)
	}
	if id := both.Sign(c); id == old {
		t.Error("both keys give the same id")
	} else if got, err := both.Open(id); err != nil || got != c {
		t.Errorf("an id from after it: %+v, %v", got, err)
	}
	if id, ok := both.SignWith(1, c); !ok || id != old {
		t.Error("a retired key does not write its ids again")
	}
	if id, ok := both.SignWith(3, c); ok || id != "" {
		t.Error("a key that is not there signs")
	}
	refused(t, keyring(t, signingKey(2)), "signed with a key that is gone", old)
	other := signingKey(1)
	other.Secret = bytes.Repeat([]byte{9}, 32)
	refused(t, keyring(t, other), "signed with another secret of the same number", old)
}

func TestKeyringsRefuseBadKeys(t *testing.T) {
	short, retired := signingKey(1), signingKey(2)
	short.Secret = short.Secret[:31]
	retired.Retired = time.Unix(1, 0)
	for what, keys := range map[string][]SigningKey{
		"none": nil, "a short secret": {short}, "an empty secret": {{ID: 1}}, "a number twice": {signingKey(1), signingKey(1)}, "none that is live": {retired},
	} {
		if r, err := NewKeyring(keys); ErrorCode(err) != CodeInternal || r != nil {
			t.Errorf("%s: %v, %v", what, r, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	ring := keyring(f, signingKey(1))
	good := ring.Sign(sampleClaims())
	f.Add(good)
	f.Add(good[:20])
	f.Add(ring.Sign(Claims{Probability: math.NaN()}))
	f.Add("AQEAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, id string) {
		c, err := ring.Open(id)
		if err != nil {
			if ErrorCode(err) != CodeDecisionNotFound || c != (Claims{}) {
				t.Fatalf("%q: %+v, %v", id, c, err)
			}
			return
		}
		if ring.Sign(c) != id {
			t.Fatalf("%q opens, but is not what Sign gives", id)
		}
	})
}
