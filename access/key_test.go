package access

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/juncture/juncture"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 123_456_789, time.FixedZone("", 3600))

func TestNewKey(t *testing.T) {
	random := bytes.NewReader(make([]byte, 40)) // all zero: id aaaaaaaaaaaa, secret part AAAA...
	k, secret, err := NewKey("shop front", []Scope{ScopeReward, ScopeChoose, ScopeReward}, true,
		[]string{"HTTPS://Shop.example:443/", "http://localhost:3000", "https://shop.example"}, noon, random)
	if err != nil {
		t.Fatal(err)
	}
	if want := "jp_aaaaaaaaaaaa_" + strings.Repeat("A", 43); secret != want {
		t.Errorf("secret %q, want %q", secret, want)
	}
	sum, _ := hex.DecodeString("0f007385b6f9d4b7eeb2748605afe1a984a0a3bfa3f014d09e2a784ce9e5cd1a") // printf 'A%.0s' {1..43} | sha256sum
	want := Key{ID: "aaaaaaaaaaaa", Name: "shop front", Scopes: []Scope{ScopeChoose, ScopeReward}, Publishable: true,
		Origins:   []string{"http://localhost:3000", "https://shop.example"},
		CreatedAt: time.Date(2026, 11, 20, 11, 0, 0, 123_000_000, time.UTC), Hash: sum}
	if diff := cmp.Diff(want, k); diff != "" {
		t.Error(diff)
	}
	if id, err := ParseSecret(secret); id != k.ID || err != nil {
		t.Errorf("%q %v", id, err)
	}
}

func TestNewKeyRefuses(t *testing.T) {
	public := []string{"https://shop.example"}
	for _, c := range []struct {
		name        string
		scopes      []Scope
		publishable bool
		origins     []string
		field       string
	}{
		{"", []Scope{ScopeRead}, false, nil, "name"},
		{" x", []Scope{ScopeRead}, false, nil, "name"},
		{"a\nb", []Scope{ScopeRead}, false, nil, "name"},
		{"a\xff", []Scope{ScopeRead}, false, nil, "name"},
		{strings.Repeat("é", 65), []Scope{ScopeRead}, false, nil, "name"},
		{"x", nil, false, nil, "scopes"},
		{"x", []Scope{"write"}, false, nil, "scopes"},
		{"x", []Scope{""}, false, nil, "scopes"},
		{"x", []Scope{ScopeChoose, ScopeRead}, true, public, "scopes"},
		{"x", []Scope{ScopeAdmin}, true, public, "scopes"},
		{"x", []Scope{ScopeEdit}, true, public, "scopes"},
		{"x", []Scope{ScopeApprove}, true, public, "scopes"},
		{"x", []Scope{ScopeChoose}, true, nil, "origins"},
		{"x", []Scope{ScopeChoose}, false, public, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"*"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"null"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"shop.example"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"ftp://shop.example"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"https://shop.example/cart"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"https://u@shop.example"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"https://shop.example?"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"https://shop.example#"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"https://shop.example:"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"https://*.example"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, []string{"https://"}, "origins"},
		{"x", []Scope{ScopeChoose}, true, slices.Repeat(public, 51), "origins"},
	} {
		_, secret, err := NewKey(c.name, c.scopes, c.publishable, c.origins, noon, rand.Reader)
		if e, ok := errors.AsType[*juncture.Error](err); !ok || e.Code != juncture.CodeInvalidRequest || e.Field != c.field || secret != "" {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, _, err := NewKey("x", []Scope{ScopeRead}, false, nil, noon, iotest.ErrReader(errors.New("dry"))); juncture.ErrorCode(err) != juncture.CodeInternal {
		t.Error(err)
	}
}

func TestVerify(t *testing.T) {
	k, secret, err := NewKey("x", []Scope{ScopeRead}, false, nil, noon, rand.Reader)
	if err != nil || !k.Verify(secret) {
		t.Fatal(err)
	}
	other, otherSecret, _ := NewKey("y", []Scope{ScopeRead}, false, nil, noon, rand.Reader)
	if k.Verify(otherSecret) || other.Verify(secret) || k.Verify("jk_"+k.ID+otherSecret[15:]) || (Key{}).Verify("jk_aaaaaaaaaaaa_"+strings.Repeat("A", 43)) {
		t.Error("another key's secret is right")
	}
	for i := range secret { // every character counts, and each secret has one spelling
		for _, c := range []byte("Aab7_-+/ \x00") {
			if altered := secret[:i] + string(c) + secret[i+1:]; altered != secret && k.Verify(altered) {
				t.Errorf("%q is right as %q", altered, secret)
			}
		}
	}
	for _, s := range []string{"", "jk_", secret + "x", secret[1:], "jp" + secret[2:], strings.ToUpper(secret), secret + "\n"} {
		if k.Verify(s) {
			t.Errorf("%q", s)
		}
	}
	for _, s := range []string{"", "Bearer x", secret + "=", "jx" + secret[2:], secret[:15] + "." + secret[16:], "jk_AAAAAAAAAAAA_" + secret[16:]} {
		if _, err := ParseSecret(s); juncture.ErrorCode(err) != juncture.CodeUnauthorized {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestAllows(t *testing.T) {
	const shop = "https://shop.example"
	for _, c := range []struct {
		key    Key
		scope  Scope
		origin string
		want   juncture.Code
	}{
		{Key{Scopes: []Scope{ScopeChoose}}, ScopeChoose, "", ""},
		{Key{Scopes: []Scope{ScopeChoose}}, ScopeChoose, "https://any.example", ""},
		{Key{Scopes: []Scope{ScopeChoose}}, ScopeReward, "", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeChoose}}, ScopeAdmin, "", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeAdmin}}, ScopeChoose, "", ""},
		{Key{Scopes: []Scope{ScopeAdmin}}, ScopeRead, "", ""},
		{Key{Scopes: []Scope{ScopeAdmin}, RevokedAt: noon}, ScopeRead, "", juncture.CodeUnauthorized},
		{Key{}, ScopeRead, "", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeApprove}}, ScopeEdit, "", ""},
		{Key{Scopes: []Scope{ScopeApprove}}, ScopeRead, "", ""},
		{Key{Scopes: []Scope{ScopeApprove}}, ScopeAdmin, "", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeApprove}}, ScopeChoose, "", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeEdit}}, ScopeRead, "", ""},
		{Key{Scopes: []Scope{ScopeEdit}}, ScopeApprove, "", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeRead}}, ScopeEdit, "", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeChoose}}, ScopeRead, "", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeChoose}, Publishable: true, Origins: []string{shop}}, ScopeChoose, shop, ""},
		{Key{Scopes: []Scope{ScopeChoose}, Publishable: true, Origins: []string{shop}}, ScopeChoose, "https://Shop.Example:443", ""},
		{Key{Scopes: []Scope{ScopeChoose}, Publishable: true, Origins: []string{shop}}, ScopeChoose, "", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeChoose}, Publishable: true, Origins: []string{shop}}, ScopeChoose, "null", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeChoose}, Publishable: true, Origins: []string{shop}}, ScopeChoose, "http://shop.example", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeChoose}, Publishable: true, Origins: []string{shop}}, ScopeChoose, "https://shop.example.evil", juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeChoose}, Publishable: true, Origins: []string{shop}}, ScopeReward, shop, juncture.CodeForbidden},
		{Key{Scopes: []Scope{ScopeAdmin}, Publishable: true, Origins: []string{shop}}, ScopeRead, shop, juncture.CodeForbidden}, // a row altered by hand
	} {
		if err := c.key.Allows(c.scope, c.origin); juncture.ErrorCode(err) != c.want {
			t.Errorf("%+v %s %q: %v, want %q", c.key, c.scope, c.origin, err, c.want)
		}
	}
}

func TestSecretsParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rapid.SliceOfN(rapid.Byte(), 40, 40).Draw(t, "random")
		k, secret, err := NewKey("k", []Scope{ScopeEvents}, false, nil, noon, bytes.NewReader(random))
		if err != nil {
			t.Fatal(err)
		}
		if id, err := ParseSecret(secret); err != nil || id != k.ID || !k.Verify(secret) {
			t.Fatalf("%q: %q %v", secret, id, err)
		}
	})
}
