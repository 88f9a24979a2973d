package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/juncture/juncture"
)

// Scope is something that a key may do.
type Scope string

// The scopes. Read, edit, approve and admin are what viewers, editors, approvers and admins may do in the console; each of
// them implies those before it, and admin all others, too.
const (
	ScopeChoose  Scope = "choose"
	ScopeReward  Scope = "reward"
	ScopeEvents  Scope = "events"
	ScopeRead    Scope = "read"
	ScopeEdit    Scope = "edit"
	ScopeApprove Scope = "approve"
	ScopeAdmin   Scope = "admin"
)

// Scopes lists every scope.
func Scopes() []Scope {
	return []Scope{ScopeChoose, ScopeReward, ScopeEvents, ScopeRead, ScopeEdit, ScopeApprove, ScopeAdmin}
}

// Implies reports whether a key with the scope may do what the other says.
func (s Scope) Implies(other Scope) bool {
	people := []Scope{ScopeRead, ScopeEdit, ScopeApprove}
	i, j := slices.Index(people, s), slices.Index(people, other)
	return s == other || s == ScopeAdmin || j >= 0 && j <= i
}

// scopeWords lists the scopes for a hint.
func scopeWords() string {
	var words []string
	for _, s := range Scopes() {
		words = append(words, string(s))
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// public reports whether a publishable key may have the scope.
func (s Scope) public() bool { return s == ScopeChoose || s == ScopeReward || s == ScopeEvents }

// Key is an API key as it is kept.
type Key struct {
	ID          string // 12 of [a-z2-7]
	Name        string // for people, 1 to 64 characters
	Scopes      []Scope
	Publishable bool      // stands in web pages: everybody can read it
	Origins     []string  // where a publishable key works, such as https://shop.example
	CreatedAt   time.Time // UTC, millisecond resolution
	RevokedAt   time.Time // zero: live
	Hash        []byte    // SHA-256 of the secret part, 32 bytes
}

// A secret is jk_<id>_<secret part>, jp_ for a publishable key. The secret part is 32 random bytes in base64url: with
// 256 bits there is nothing to guess, so a plain SHA-256 hides it as well as a slow hash would, at no cost per call.
const (
	secretPrefix      = "jk_"
	publishablePrefix = "jp_"
	keyIDSize         = 12
	secretSize        = 32 // bytes
	secretText        = 43 // characters
)

// Limits of a key.
const (
	MaxName    = 64 // characters
	MaxOrigins = 50
)

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewKey makes a key and its secret, which is not kept and can be shown this once. Scopes and origins are put in
// order, repeats dropped. The error is CodeInvalidRequest with Field name, scopes or origins; CodeInternal when rand
// fails.
func NewKey(name string, scopes []Scope, publishable bool, origins []string, now time.Time, rand io.Reader) (Key, string, error) {
	k := Key{Name: name, Publishable: publishable, CreatedAt: now.UTC().Truncate(time.Millisecond)}
	if !printableName(name) {
		return Key{}, "", invalid("name", fmt.Sprintf("the name %.80q is not 1 to %d printable characters", name, MaxName), "such as storefront")
	}
	for _, s := range scopes {
		if !slices.Contains(Scopes(), s) {
			return Key{}, "", invalid("scopes", fmt.Sprintf("no scope is called %.40q", s), scopeWords())
		}
		if publishable && !s.public() {
			return Key{}, "", invalid("scopes", fmt.Sprintf("a publishable key cannot have the scope %q", s), "choose, reward or events: everybody can read this key")
		}
	}
	if len(scopes) == 0 {
		return Key{}, "", invalid("scopes", "a key needs a scope", scopeWords())
	}
	for _, s := range Scopes() {
		if slices.Contains(scopes, s) {
			k.Scopes = append(k.Scopes, s)
		}
	}
	var err error
	if k.Origins, err = checkOrigins(origins, publishable); err != nil {
		return Key{}, "", err
	}
	random := make([]byte, 8+secretSize)
	if _, err := io.ReadFull(rand, random); err != nil {
		return Key{}, "", noRandom(err)
	}
	k.ID = idEncoding.EncodeToString(random[:8])[:keyIDSize]
	secret := base64.RawURLEncoding.EncodeToString(random[8:])
	k.Hash = hashSecret(secret)
	return k, k.prefix() + k.ID + "_" + secret, nil
}

func checkOrigins(origins []string, publishable bool) ([]string, error) {
	switch {
	case !publishable && len(origins) > 0:
		return nil, invalid("origins", "only a publishable key has origins", "leave origins out, or make the key publishable")
	case publishable && len(origins) == 0:
		return nil, invalid("origins", "a publishable key needs the origins where it works", "such as https://shop.example")
	case len(origins) > MaxOrigins:
		return nil, invalid("origins", fmt.Sprintf("%d origins; at most %d", len(origins), MaxOrigins), "")
	}
	var out []string
	for _, o := range origins {
		canonical, ok := canonicalOrigin(o)
		if !ok {
			return nil, invalid("origins", fmt.Sprintf("%.80q is not an origin", o), "scheme, host and port only, such as https://shop.example")
		}
		out = append(out, canonical)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// canonicalOrigin spells an origin as browsers do: lower case, no default port, nothing after the host.
func canonicalOrigin(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || len(s) > 300 || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#") ||
		u.Path != "" && u.Path != "/" || u.Opaque != "" {
		return "", false
	}
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if scheme != "http" && scheme != "https" || host == "" || strings.HasSuffix(u.Host, ":") {
		return "", false
	}
	for _, c := range host {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' || c == ':') {
			return "", false // browsers send international names in punycode
		}
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && !(scheme == "http" && port == "80") && !(scheme == "https" && port == "443") {
		host += ":" + port
	}
	return scheme + "://" + host, true
}

func printableName(s string) bool {
	if s == "" || utf8.RuneCountInString(s) > MaxName || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return false
	}
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

func (k Key) prefix() string {
	if k.Publishable {
		return publishablePrefix
	}
	return secretPrefix
}

func hashSecret(part string) []byte {
	sum := sha256.Sum256([]byte(part))
	return sum[:]
}

// ParseSecret returns the id of the key that a secret claims to be of. The error is CodeUnauthorized.
func ParseSecret(secret string) (id string, err error) {
	id, _, _, ok := splitSecret(secret)
	if !ok {
		return "", unauthorized("this is not an API key")
	}
	return id, nil
}

func splitSecret(secret string) (id, part string, publishable, ok bool) {
	const prefix = len(secretPrefix)
	if len(secret) != prefix+keyIDSize+1+secretText || secret[prefix+keyIDSize] != '_' {
		return "", "", false, false
	}
	id, part = secret[prefix:prefix+keyIDSize], secret[prefix+keyIDSize+1:]
	publishable = secret[:prefix] == publishablePrefix
	if !publishable && secret[:prefix] != secretPrefix || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return "", "", false, false
	}
	if b, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil || len(b) != secretSize {
		return "", "", false, false
	}
	return id, part, publishable, true
}

// Verify reports whether secret is this key's, in time that does not depend on how much of it is right. It says
// nothing of revocation: Allows does.
func (k Key) Verify(secret string) bool {
	id, part, publishable, ok := splitSecret(secret)
	return ok && id == k.ID && publishable == k.Publishable && subtle.ConstantTimeCompare(hashSecret(part), k.Hash) == 1
}

// Allows checks that the key, already verified, may do what the scope says. origin is the Origin header of the
// request, empty where it has none; only publishable keys mind it.
//
// Errors: CodeUnauthorized (revoked), CodeForbidden (scope or origin).
func (k Key) Allows(scope Scope, origin string) error {
	if !k.RevokedAt.IsZero() {
		return unauthorized("the API key is revoked")
	}
	if !slices.ContainsFunc(k.Scopes, func(s Scope) bool { return s.Implies(scope) }) || k.Publishable && !scope.public() {
		return juncture.Errorf(juncture.CodeForbidden, "the API key does not have the scope %q", scope).
			WithHint(fmt.Sprintf("juncture keys create --scopes %s", scope))
	}
	if !k.Publishable {
		return nil
	}
	if canonical, ok := canonicalOrigin(origin); !ok || !slices.Contains(k.Origins, canonical) {
		return juncture.Errorf(juncture.CodeForbidden, "the publishable API key does not work from the origin %.80q", origin).
			WithHint("call from a page of an origin that the key lists, or use a secret key on a server")
	}
	return nil
}

func invalid(field, message, hint string) error {
	return &juncture.Error{Code: juncture.CodeInvalidRequest, Message: message, Hint: hint, Field: field}
}

func unauthorized(message string) error {
	return &juncture.Error{Code: juncture.CodeUnauthorized, Message: message, Hint: "send Authorization: Bearer and the secret as juncture keys create printed it"}
}

func noRandom(err error) error {
	return &juncture.Error{Code: juncture.CodeInternal, Message: "no randomness", Err: err}
}
