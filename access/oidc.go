package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/juncture/juncture"
)

// Provider says where people sign in with OpenID Connect, and who of them may what.
type Provider struct {
	Title     string // on the button; empty: "single sign-on"
	Issuer    string // https, or http on loopback
	ClientID  string
	Secret    string // of the client; empty: a public client, held by PKCE alone
	RoleClaim string // name of a claim, or a path such as realm_access.roles, that is one text or a list
	// Roles maps values of the claim; of several the highest counts.
	Roles map[string]Role
	// Domains of verified e-mail addresses whose people have DefaultRole where no claim says another.
	Domains     []string
	DefaultRole Role
}

// check returns what is wrong with the settings.
func (p Provider) check() error {
	wrong := func(field, message, hint string) error { return invalid("oidc."+field, message, hint) }
	u, err := url.Parse(p.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return wrong("issuer", fmt.Sprintf("the issuer %.80q is not an https address", p.Issuer), "such as https://accounts.example.com")
	}
	if p.ClientID == "" {
		return wrong("clientId", "the client id is missing", "the identity provider gives one to each application")
	}
	for value, role := range p.Roles {
		if !slices.Contains(Roles(), role) {
			return wrong("roles", fmt.Sprintf("%.40q is given the role %.40q, and there is none", value, role), "viewer, editor, approver or admin")
		}
	}
	if (p.RoleClaim == "") != (len(p.Roles) == 0) {
		return wrong("roles", "roleClaim and roles go together", "such as roleClaim: groups with roles: {growth: editor}")
	}
	if (p.DefaultRole == "") != (len(p.Domains) == 0) || p.DefaultRole != "" && !slices.Contains(Roles(), p.DefaultRole) {
		return wrong("defaultRole", "domains and defaultRole go together", "such as domains: [shop.example] with defaultRole: viewer")
	}
	if len(p.Roles) == 0 && len(p.Domains) == 0 {
		return wrong("roles", "nobody could sign in: neither roles nor domains say who may", "set roleClaim and roles, or domains and defaultRole")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// role is what the claims give, empty for nothing.
func (p Provider) role(claims map[string]any) (best Role) {
	for _, v := range claimed(claims, p.RoleClaim) {
		if r := p.Roles[v]; r != "" && (best == "" || r.AtLeast(best)) {
			best = r
		}
	}
	if best != "" {
		return best
	}
	email, _ := claims["email"].(string)
	verified, _ := claims["email_verified"].(bool)
	at := strings.LastIndexByte(email, '@')
	if at > 0 && verified && slices.ContainsFunc(p.Domains, func(d string) bool { return strings.EqualFold(d, email[at+1:]) }) {
		return p.DefaultRole
	}
	return ""
}

// claimed returns the texts of a claim: under its name, else along the dots of it.
func claimed(claims map[string]any, name string) []string {
	if name == "" {
		return nil
	}
	v, ok := claims[name]
	if head, rest, dotted := strings.Cut(name, "."); !ok && dotted {
		if inner, ok := claims[head].(map[string]any); ok {
			return claimed(inner, rest)
		}
	}
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// SubjectStore finds who signs in at an identity provider.
type SubjectStore interface {
	// UserBySubject returns CodeNotFound where there is none.
	UserBySubject(ctx context.Context, subject string) (User, error)
}

// OIDC signs people in at an identity provider: the authorization code flow with PKCE, state and nonce (OpenID Connect
// Core 1.0, section 3.1; RFC 7636). Of a person it keeps a hash of issuer and subject, the name that the provider calls
// them by, and the role: no e-mail address, no token.
type OIDC struct {
	provider Provider
	people   *Service
	subjects SubjectStore
	client   *http.Client
	places   chan struct{}

	mu    sync.Mutex
	found *oidc.Provider // by discovery, on first use; nil: not yet
}

// Bounds of a sign-in at a provider.
const (
	flowLife     = 10 * time.Minute // from the button to the return
	providerWait = 10 * time.Second // for one answer of the provider
	flowsAtOnce  = 8                // codes exchanged at once
)

// NewOIDC checks the settings; the provider is asked when somebody first signs in, so that it may be down at the start.
// client is how the provider is reached; nil: with a timeout of 10 s. The error is CodeInvalidRequest.
func NewOIDC(p Provider, people *Service, subjects SubjectStore, client *http.Client) (*OIDC, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if client == nil {
		client = &http.Client{Timeout: providerWait}
	}
	return &OIDC{provider: p, people: people, subjects: subjects, client: client, places: make(chan struct{}, flowsAtOnce)}, nil
}

// Title is what the button says: where people sign in.
func (o *OIDC) Title() string {
	if o.provider.Title == "" {
		return "single sign-on"
	}
	return o.provider.Title
}

// discover asks the provider for its addresses, once.
func (o *OIDC) discover(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.found != nil {
		return o.found, nil
	}
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, o.client), o.provider.Issuer)
	if err != nil {
		return nil, &juncture.Error{Code: juncture.CodeUnavailable, Message: "the identity provider does not answer", Hint: "sign in with a password, or try again", Err: err}
	}
	o.found = p
	return p, nil
}

func (o *OIDC) config(p *oidc.Provider, back string) oauth2.Config {
	return oauth2.Config{ClientID: o.provider.ClientID, ClientSecret: o.provider.Secret, Endpoint: p.Endpoint(), RedirectURL: back,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"}}
}

// flow is one way to the provider and back, held by the browser that began it: a random text and when it was begun.
// State, nonce and verifier follow from the text, so that none of them can be exchanged for another's.
type flow struct{ secret string }

func newFlow(now time.Time, rand io.Reader) (flow, error) {
	random := make([]byte, tokenSize)
	if _, err := io.ReadFull(rand, random); err != nil {
		return flow{}, noRandom(err)
	}
	return flow{fmt.Sprintf("%s.%x", base64.RawURLEncoding.EncodeToString(random), now.Unix())}, nil
}

// fresh reports whether the flow has its form and was begun at most flowLife ago.
func (f flow) fresh(now time.Time) bool {
	random, begun, _ := strings.Cut(f.secret, ".")
	var at int64
	if _, ok := tokenHash(random); !ok {
		return false
	}
	if n, err := fmt.Sscanf(begun, "%x", &at); n != 1 || err != nil {
		return false
	}
	age := now.Sub(time.Unix(at, 0))
	return age > -time.Minute && age < flowLife
}

func (f flow) part(of string) string {
	sum := sha256.Sum256([]byte(of + " " + f.secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (f flow) state() string    { return f.part("state") }
func (f flow) nonce() string    { return f.part("nonce") }
func (f flow) verifier() string { return f.part("verifier") } // 43 characters, as RFC 7636 asks

// Begin returns where to send the browser and what it must bring back with Finish, kept where scripts and other sites
// cannot read it. back is the address that the provider returns to. The error is CodeUnavailable where the provider
// does not answer.
func (o *OIDC) Begin(ctx context.Context, back string, now time.Time) (to, kept string, _ error) {
	p, err := o.discover(ctx)
	if err != nil {
		return "", "", err
	}
	f, err := newFlow(now, o.people.rand)
	if err != nil {
		return "", "", err
	}
	config := o.config(p, back)
	return config.AuthCodeURL(f.state(), oidc.Nonce(f.nonce()), oauth2.S256ChallengeOption(f.verifier())), f.secret, nil
}

// Finish exchanges the code that came back, checks the token and begins a session of its person, who is made on the
// first time.
//
// Errors: CodeUnauthorized (begun elsewhere, too old, refused by the provider, or a token that does not hold),
// CodeForbidden (neither roles nor domains let them in, or disabled), CodeTooManyRequests, CodeUnavailable (the provider
// does not answer), those of the ports.
func (o *OIDC) Finish(ctx context.Context, back, kept, state, code string, now time.Time) (token string, _ User, _ error) {
	f := flow{kept}
	if !f.fresh(now) || subtle.ConstantTimeCompare([]byte(f.state()), []byte(state)) != 1 || code == "" {
		return "", User{}, noSignIn("it was begun elsewhere or took too long", nil)
	}
	select {
	case o.places <- struct{}{}:
		defer func() { <-o.places }()
	default:
		return "", User{}, &juncture.Error{Code: juncture.CodeTooManyRequests, Message: "too many sign-ins at once", RetryAfter: 2 * time.Second}
	}
	claims, err := o.claims(ctx, back, f, code, now)
	if err != nil {
		return "", User{}, err
	}
	u, err := o.admit(ctx, claims, now)
	if err != nil {
		return "", User{}, err
	}
	if token, err = o.people.begin(ctx, u, now); err != nil {
		return "", User{}, err
	}
	return token, u.public(), nil
}

func noSignIn(why string, err error) error {
	return &juncture.Error{Code: juncture.CodeUnauthorized, Message: "the sign-in did not hold: " + why, Hint: "sign in again", Err: err}
}

// claims exchanges the code and returns the claims of a token that is signed by the issuer, made for us, in date, and
// the answer to this flow.
func (o *OIDC) claims(ctx context.Context, back string, f flow, code string, now time.Time) (map[string]any, error) {
	p, err := o.discover(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, o.client)
	config := o.config(p, back)
	answer, err := config.Exchange(ctx, code, oauth2.VerifierOption(f.verifier()))
	if err != nil {
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response.StatusCode < 500 {
			return nil, noSignIn("the identity provider does not know its code", err)
		}
		return nil, &juncture.Error{Code: juncture.CodeUnavailable, Message: "the identity provider does not answer", Hint: "try again", Err: err}
	}
	raw, _ := answer.Extra("id_token").(string)
	signed, err := p.VerifierContext(ctx, &oidc.Config{ClientID: o.provider.ClientID, Now: func() time.Time { return now }}).Verify(ctx, raw)
	if err != nil {
		return nil, noSignIn("the identity provider's token is not good", err)
	}
	if subtle.ConstantTimeCompare([]byte(signed.Nonce), []byte(f.nonce())) != 1 {
		return nil, noSignIn("the token answers another sign-in", nil)
	}
	claims := map[string]any{}
	if err := signed.Claims(&claims); err != nil {
		return nil, noSignIn("the token's claims cannot be read", err)
	}
	if azp, ok := claims["azp"].(string); ok && azp != o.provider.ClientID { // OpenID Connect Core 1.0, 3.1.3.7
		return nil, noSignIn("the token was made for another application", nil)
	}
	claims["iss"], claims["sub"] = signed.Issuer, signed.Subject
	if signed.Subject == "" {
		return nil, noSignIn("the token names nobody", nil)
	}
	return claims, nil
}

// admit finds the person of the claims, or makes them. Where a claim gives roles, the role follows it with every
// sign-in; else it is what it was made, or what an admin gave since.
func (o *OIDC) admit(ctx context.Context, claims map[string]any, now time.Time) (User, error) {
	role := o.provider.role(claims)
	if role == "" {
		return User{}, &juncture.Error{Code: juncture.CodeForbidden, Message: "this account may not use the console", Hint: "an administrator decides which groups and addresses may"}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s%s", len(claims["iss"].(string)), claims["iss"], claims["sub"]))
	subject, display := hex.EncodeToString(sum[:]), displayName(claims)
	u, err := o.subjects.UserBySubject(ctx, subject)
	if juncture.ErrorCode(err) == juncture.CodeNotFound {
		u = User{ID: "u_" + idEncoding.EncodeToString(sum[:10]), Name: "sso-" + idEncoding.EncodeToString(sum[:10])[:10], Role: role, Subject: subject, Display: display,
			CreatedAt: now.UTC().Truncate(time.Millisecond)}
		made := roleSaid{Role: role, SignIn: "single sign-on"}
		err = o.people.users.CreateUser(ctx, u, Who{Actor: "user:" + u.Name, From: "single sign-on"}.note("create", "user "+u.Name, nil, made, now))
		if juncture.ErrorCode(err) != juncture.CodeUnprocessable {
			return u, err
		}
		u, err = o.subjects.UserBySubject(ctx, subject) // two first sign-ins at once: the other made them
	}
	if err != nil {
		return User{}, err
	}
	if !u.DisabledAt.IsZero() {
		return User{}, &juncture.Error{Code: juncture.CodeForbidden, Message: "this account may not use the console", Hint: "an administrator disabled it"}
	}
	if o.provider.RoleClaim == "" {
		role = u.Role
	}
	if role == u.Role && display == u.Display {
		return u, nil
	}
	var notes []juncture.AuditNote
	before := u.said()
	if u.Display = display; role != u.Role {
		u.Role = role
		notes = append(notes, Who{Actor: "user:" + u.Name, From: "single sign-on"}.note("change role", "user "+u.Name, before, u.said(), now))
	}
	return u, o.people.users.UpdateUser(ctx, u, notes...)
}

// displayName is what people call the person: at most MaxName printable characters of the claims name or
// preferred_username, else empty.
func displayName(claims map[string]any) string {
	for _, name := range []string{"name", "preferred_username"} {
		s, _ := claims[name].(string)
		s = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(s, ""))
		if r := []rune(strings.TrimSpace(s)); len(r) > 0 {
			return strings.TrimSpace(string(r[:min(len(r), MaxName)]))
		}
	}
	return ""
}
