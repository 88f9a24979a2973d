package testkit

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// OIDC is an OpenID provider over loopback: discovery, keys, the code flow with PKCE, ID tokens signed with RS256. Whoever
// comes is signed in at once as Claims says.
type OIDC struct {
	*httptest.Server
	ClientID, Secret string
	Now              func() time.Time

	mu     sync.Mutex
	key    *rsa.PrivateKey
	claims map[string]any
	forge  func(header, claims map[string]any) *rsa.PrivateKey
	codes  map[string]url.Values // what was asked, by the code that answered it
}

// StartOIDC starts a provider with one client.
func StartOIDC(t testing.TB, now func() time.Time) *OIDC {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	o := &OIDC{ClientID: "juncture", Secret: "a secret of the client", Now: now, key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"issuer": o.URL, "authorization_endpoint": o.URL + "/authorize", "token_endpoint": o.URL + "/token", "jwks_uri": o.URL + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		b64 := base64.RawURLEncoding.EncodeToString
		answer(w, 200, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1",
			"n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("response_type") != "code" || q.Get("client_id") != o.ClientID || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("state") == "" {
			http.Error(w, "not a request for a code", http.StatusBadRequest)
			return
		}
		o.mu.Lock()
		code := fmt.Sprintf("code-%d", len(o.codes))
		o.codes[code] = q
		o.mu.Unlock()
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, ok := r.BasicAuth()
		if !ok {
			id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
		}
		if plain, err := url.QueryUnescape(secret); ok && err == nil {
			secret = plain // RFC 6749, 2.3.1: the parts are form-encoded
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		asked := o.codes[r.PostFormValue("code")]
		delete(o.codes, r.PostFormValue("code"))
		challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if id != o.ClientID || secret != o.Secret || asked == nil || asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") ||
			asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) {
			answer(w, 400, map[string]string{"error": "invalid_grant"})
			return
		}
		header := map[string]any{"alg": "RS256", "kid": "k1"}
		claims := map[string]any{"iss": o.URL, "aud": o.ClientID, "iat": o.Now().Unix(), "exp": o.Now().Add(time.Hour).Unix(), "nonce": asked.Get("nonce")}
		maps.Copy(claims, o.claims)
		with := o.key
		if o.forge != nil {
			with = o.forge(header, claims)
		}
		answer(w, 200, map[string]any{"access_token": "opaque", "token_type": "Bearer", "id_token": sign(t, header, claims, with)})
	})
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}

// SignsIn sets who comes, and how their tokens are forged: forge may change both parts and returns the key that signs,
// nil for none. A nil forge: they are not.
func (o *OIDC) SignsIn(claims map[string]any, forge func(header, claims map[string]any) *rsa.PrivateKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.claims, o.forge = claims, forge
}

// Key is what tokens are signed with.
func (o *OIDC) Key() *rsa.PrivateKey { return o.key }

func sign(t testing.TB, header, claims map[string]any, key *rsa.PrivateKey) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(header) + "." + part(claims)
	if key == nil {
		return text + "."
	}
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Error(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}
