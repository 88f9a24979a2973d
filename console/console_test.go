package console_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/console/preview"
)

const cellPath = intersectionPath + "?experiment=hero&key=v1%2Floyal.browsing.researching%2Fwedding-guests%2F_%2F_"

func TestRoutes(t *testing.T) {
	h := serve(t, newFake())
	for _, tt := range []struct {
		path, cookie string
		status       int
		location     string
		contains     string
	}{
		{"/", "", 302, homePath, ""},
		{"/console", "", 303, signInPath, ""},
		{"/console", "forged", 303, signInPath, ""},
		{gridPath + "?rows=live", "", 303, signInPath + "?next=" + url.QueryEscape(gridPath+"?rows=live"), ""},
		{signInPath, "", 200, "", "<h1>Sign in</h1>"},
		{"/console", "good", 200, "", "<bdi>Demo</bdi> in one minute"},
		{trialsPath, "good", 200, "", "All experiments"},
		{trialsPath + "/hero", "good", 200, "", "Personalising earns"},
		{trialsPath + "/hero?over=bau&filter.lifecycle=loyal&cuped=true", "good", 200, "", "Adjusted for what shoppers had ordered for before"},
		{trialsPath + "/hero?over=policy", "good", 400, "", "No group to compare with is called"},
		{trialsPath + "/hero?cuped=x", "good", 400, "", "true or false"},
		{trialsPath + "/hero?filter.colour=red", "good", 400, "", "no axis or layer"},
		{trialsPath + "/programme", "good", 200, "", "Holdout above experiments"},
		{trialsPath + "/next-season", "good", 200, "", "Nobody has been enrolled yet"},
		{trialsPath + "/none", "good", 404, "", "No experiment or holdout is called"},
		{trialsPath + "/programme/history.csv", "good", 404, "", "no history"},
		{trialsPath + "/hero/pause", "good", 403, "", "needs the role approver"},
		{trialsPath + "/hero/pause", "approver", 200, "", "Leave it as it is"},
		{trialsPath + "/hero/resume", "approver", 409, "", "it cannot resume now"},
		{trialsPath + "/hero/ship", "approver", 403, "", "needs the role admin"},
		{trialsPath + "/hero/ship", "admin", 200, "", "Choose the action"},
		{trialsPath + "/programme/pause", "approver", 404, "", "No experiment is called"},
		{cataloguePath, "good", 200, "", "104 of 120 products can be shown now; “Linen dress 0” is wanted most."},
		{cataloguePath + "?q=linen+dress+11&stock=in&hidden=false", "good", 200, "", "10 from 1 on, of 10."}, // 11 and 110 to 119, less 110, which is sold out
		{cataloguePath + "?q=nothing", "good", 200, "", "No product matches"},
		{cataloguePath + "?offset=50", "good", 200, "", "50 from 51 on, of 120."},
		{cataloguePath + "?offset=x", "good", 400, "", "is no number"},
		{cataloguePath + "?stock=x", "good", 400, "", "is in or out"},
		{cataloguePath + "?hidden=x", "good", 400, "", "hidden or not"},
		{cataloguePath, "", 303, signInPath + "?next=" + url.QueryEscape(cataloguePath), ""},
		{trialsPath, "", 303, signInPath + "?next=" + url.QueryEscape(trialsPath), ""},
		{gridPath, "good", 200, "", "Hero at Home hero"}, // the first that runs, not the first of all
		{gridPath + "?experiment=cart-rescue", "good", 200, "", "Value a decision"},
		{gridPath + "?rows=colour", "good", 400, "", "no axis is called"},
		{gridPath + "?rows=live&cols=live", "good", 400, "", "used twice"},
		{gridPath + "?experiment=none", "good", 404, "", "No experiment is called"},
		{gridPath + "?filter.live=rising", "good", 200, "", "Nothing matches this filter"},
		{gridPath + "?filter.live=" + url.QueryEscape("<b>"), "good", 400, "", "cannot be a value"},
		{listPath + "?experiment=hero&filter.lifecycle=loyal&filter.status=browsing", "good", 200, "", "Loyal × Browsing"},
		{listPath, "good", 200, "", "All intersections"},
		{cellPath, "good", 200, "", "Browsing loyal customers who are researching in wedding guests"},
		{intersectionPath + "?experiment=hero&key=v1/_/_/_/_", "good", 200, "", "Everybody"},
		{intersectionPath + "?experiment=hero&key=v1/nobody/ever/was/here", "good", 200, "", "Not enough data yet"},
		{intersectionPath + "?experiment=hero&key=v2/x", "good", 400, "", "does not begin with"},
		{intersectionPath + "?experiment=hero", "good", 400, "", ""},
		{shopperPath + "?id=ada", "", 303, signInPath + "?next=" + url.QueryEscape(shopperPath+"?id=ada"), ""},
		{shopperPath + "?id=ada", "forged", 303, signInPath + "?next=" + url.QueryEscape(shopperPath+"?id=ada"), ""},
		{layersPath, "", 303, signInPath + "?next=" + url.QueryEscape(layersPath), ""},
		{shopperPath, "good", 200, "", "Who is it about?"},
		{shopperPath + "?id=ada", "good", 200, "", "<bdi>ada</bdi>: first-time buyer who left a filled cart 84 minutes ago, intent building."},
		{shopperPath + "?id=+ada@shop.example+", "good", 200, "", "<bdi>ada</bdi>: first-time buyer"},
		{shopperPath + "?id=nobody", "good", 200, "", "Nothing was observed of <bdi>nobody</bdi>"},
		{shopperPath + "?id=undescribed", "good", 200, "", "Latest decisions for them"},
		{followUpPath, "good", 200, "", "What to look at next"},
		{followUpPath + "?experiment=cart-rescue&rows=status&cols=meaning", "good", 200, "", "Next copy to write"},
		{followUpPath + "?rows=colour", "good", 400, "", "no axis is called"},
		{followUpPath + ".csv?list=x", "good", 400, "", "There is no list"},
		{followUpPath + ".csv?list=copy&experiment=none", "good", 404, "", "No experiment is called"},
		{layersPath, "good", 200, "", "What could not be taken"},
		{layersPath + "?experiment=none", "good", 404, "", "No experiment is called"},
		{"/console/nothing", "", 404, "", "There is no such page"},
		{staticPath + "0000/console.css", "", 404, "", ""},
	} {
		w := get(h, tt.path, tt.cookie)
		if w.Code != tt.status || w.Header().Get("Location") != tt.location || !strings.Contains(w.Body.String(), tt.contains) {
			t.Errorf("%s: %d to %q, want %d to %q with %q\n%.300s", tt.path, w.Code, w.Header().Get("Location"), tt.status, tt.location, tt.contains, w.Body)
		}
		for name, want := range map[string]string{"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", tt.path, name, got)
			}
		}
		body := liveScript.ReplaceAllString(w.Body.String(), "")
		if w.Code == 200 && (!strings.Contains(body, "Simulated data:") || strings.Contains(body, " style=") || strings.Contains(body, "<script") || strings.Contains(body, "<no value>")) {
			t.Errorf("%s: does not say that its data are simulated, or has what the policy blocks", tt.path)
		}
		if strings.Contains(body, "goroutine") || strings.Contains(body, "INVALID_REQUEST") {
			t.Errorf("%s: shows its insides", tt.path)
		}
	}
}

// liveScript is the one script that pages may have.
var liveScript = regexp.MustCompile(`<script type="module" src="/console/static/[0-9a-f]+/live\.js"></script>`)

func TestStatic(t *testing.T) {
	h := serve(t, newFake())
	href := regexp.MustCompile(`href="(/console/static/[0-9a-f]+/[a-z]+\.(?:css|svg))"`).FindAllStringSubmatch(get(h, signInPath, "").Body.String(), -1)
	if len(href) != 2 {
		t.Fatalf("%v", href)
	}
	for _, m := range href {
		w := get(h, m[1], "")
		if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", m[1], w.Code, w.Header())
		}
		req := httptest.NewRequest(http.MethodGet, m[1], nil)
		req.Header.Set("Accept-Encoding", "br, gzip;q=0.8")
		zipped := httptest.NewRecorder()
		h.ServeHTTP(zipped, req)
		plain, err := gzip.NewReader(zipped.Body)
		if err != nil || zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Header().Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%s: %v %v", m[1], err, zipped.Header())
		}
		if got, err := io.ReadAll(plain); err != nil || !bytes.Equal(got, w.Body.Bytes()) {
			t.Errorf("%s: compressed it is another file, %v", m[1], err)
		}
	}
}

func post(h http.Handler, path string, form url.Values, change func(*http.Request)) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "http://shop.example"+path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if change != nil {
		change(req)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func TestSignIn(t *testing.T) {
	right := url.Values{"name": {"ada"}, "password": {"correct horse"}}
	t.Run("right", func(t *testing.T) {
		f := newFake()
		h := serve(t, f)
		w := post(h, signInPath, right, nil)
		cookies := w.Result().Cookies()
		if w.Code != 303 || w.Header().Get("Location") != homePath || len(cookies) != 1 {
			t.Fatalf("%d %v", w.Code, w.Header())
		}
		if c := cookies[0]; c.Name != "juncture" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Secure {
			t.Errorf("%+v", c)
		}
		if got := get(h, homePath, cookies[0].Value); got.Code != 200 {
			t.Errorf("with the cookie: %d", got.Code)
		}
		w = post(h, "/console/sign-out", nil, func(r *http.Request) { r.AddCookie(cookies[0]) })
		if w.Code != 303 || w.Result().Cookies()[0].MaxAge >= 0 || get(h, homePath, cookies[0].Value).Code != 303 {
			t.Errorf("sign-out: %d %v", w.Code, w.Header())
		}
	})
	t.Run("over TLS", func(t *testing.T) {
		w := post(serve(t, newFake()), signInPath, right, func(r *http.Request) { r.TLS = &tls.ConnectionState{} })
		if c := w.Result().Cookies()[0]; c.Name != "__Host-juncture" || !c.Secure || c.Path != "/" || c.Domain != "" {
			t.Errorf("%+v", c)
		}
	})
	for name, tt := range map[string]struct {
		form   url.Values
		err    error
		status int
		says   string
	}{
		"wrong password": {url.Values{"name": {"ada"}, "password": {"x"}}, nil, 401, "do not match"},
		"nothing":        {url.Values{}, nil, 401, "do not match"},
		"hostile name":   {url.Values{"name": {`"><script>alert(1)</script>`}, "password": {"x"}}, nil, 401, "&lt;script&gt;"},
		"locked":         {right, juncture.Errorf(juncture.CodeTooManyRequests, "locked"), 429, "Too many attempts"},
		"broken":         {right, errors.New("dial tcp 10.0.0.7: secret"), 500, "went wrong on our side"},
		"too large":      {url.Values{"name": {strings.Repeat("a", console.MaxForm)}}, nil, 400, "could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.SignInErr = tt.err
			w := post(serve(t, f), signInPath, tt.form, nil)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || len(w.Result().Cookies()) > 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if body := w.Body.String(); strings.Contains(body, "<script") || strings.Contains(body, "secret") || strings.Contains(body, "correct horse") {
				t.Errorf("%s", body)
			}
		})
	}
	t.Run("from another site", func(t *testing.T) {
		f := newFake()
		h := serve(t, f)
		for _, change := range []func(*http.Request){
			func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		} {
			if w := post(h, signInPath, right, change); w.Code != 403 || len(w.Result().Cookies()) > 0 {
				t.Errorf("sign-in: %d", w.Code)
			}
			w := post(h, "/console/sign-out", nil, func(r *http.Request) {
				change(r)
				r.AddCookie(&http.Cookie{Name: plainCookie, Value: "good"})
			})
			if w.Code != 403 || len(f.SignedOut) > 0 {
				t.Errorf("sign-out: %d, %v", w.Code, f.SignedOut)
			}
		}
	})
}

func TestRedirectsStayHere(t *testing.T) {
	h := serve(t, newFake())
	for next, want := range map[string]string{
		gridPath + "?rows=live":         gridPath + "?rows=live",
		"":                              homePath,
		"//evil.example":                homePath,
		`/\evil.example`:                homePath,
		"/\t/evil.example":              homePath,
		"https://evil.example":          homePath,
		"evil.example":                  homePath,
		"javascript:alert(1)":           homePath,
		signInPath:                      homePath,
		"/x\r\nSet-Cookie: a=b":         homePath,
		"/" + strings.Repeat("a", 5000): homePath,
	} {
		w := post(h, signInPath, url.Values{"name": {"ada"}, "password": {"correct horse"}, "next": {next}}, nil)
		if got := w.Header().Get("Location"); got != want {
			t.Errorf("next=%.60q leads to %q", next, got)
		}
		if w := get(h, signInPath+"?next="+url.QueryEscape(next), ""); w.Code != 200 || strings.Contains(w.Body.String(), "evil.example") {
			t.Errorf("next=%.60q is in the form", next)
		}
	}
}

func TestSourceFails(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
	}{
		{errors.New("sqlite: secret path"), 500},
		{juncture.Errorf(juncture.CodeUnavailable, "secret"), 503},
	} {
		f := newFake()
		f.Err = tt.err
		h := serve(t, f)
		for _, path := range []string{homePath, trialsPath, trialsPath + ".csv", trialsPath + "/hero", trialsPath + "/hero/lifts.csv", trialsPath + "/hero/ship", trialsPath + "/hero/what-if?ask=worth", cataloguePath, cataloguePath + "/products.csv", cataloguePath + "/trending.csv", gridPath, gridPath + ".csv", listPath, listPath + ".csv", cellPath, signInPath, shopperPath + "?id=ada", layersPath,
			layersPath + "/mix.csv", layersPath + "/moves.csv", layersPath + "/clusters.csv", layersPath + "/quarantine.csv", clusterPath + "wedding-guests",
			shopperPath + "/timeline.csv?id=ada", shopperPath + "/decisions.csv?id=ada", recordsPath + "ada/export", recordsPath + "ada/erase"} {
			w := get(h, path, "admin")
			if w.Code != tt.status || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), "went wrong") {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	}
}

func TestEmptyStores(t *testing.T) {
	f := newFake()
	f.Store = console.StoreView{}
	h := serve(t, f)
	if w := get(h, homePath, "good"); w.Code != 200 || !strings.Contains(w.Body.String(), "juncture apply -f store.yaml") || strings.Contains(w.Body.String(), "Simulated") {
		t.Errorf("no experiment: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{gridPath + ".csv", listPath, cellPath} {
		if w := get(h, path, "good"); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	f = newFake()
	ev := f.Evidence["hero"]
	ev.Cells = nil
	f.Evidence["hero"], f.Decisions = ev, nil
	h = serve(t, f)
	if w := get(h, gridPath, "good"); w.Code != 200 || !strings.Contains(w.Body.String(), "POST /choose") {
		t.Errorf("no decision: %d", w.Code)
	}
	if w := get(h, cellPath, "good"); w.Code != 200 || !strings.Contains(w.Body.String(), "Not enough data yet") {
		t.Errorf("no decision here: %d", w.Code)
	}
	ev.Arms = nil
	f.Evidence["hero"] = ev
	if w := get(h, cellPath, "good"); w.Code != 200 || !strings.Contains(w.Body.String(), "No action yet") {
		t.Errorf("no action: %d", w.Code)
	}
}

// TestHostileText puts what nobody should say into every text that is shown.
func TestHostileText(t *testing.T) {
	f := newFake()
	evil := `"><script>alert(1)</script><img src=x onerror=alert(2)>` + "\x00\u202e=HYPERLINK(" + strings.Repeat("長い🙂", 2000)
	f.Store.Name = evil
	for i := range f.Store.Experiments {
		f.Store.Experiments[i].Surface = evil
	}
	ev := f.Evidence["hero"]
	for id, a := range ev.Arms {
		a.Headline, a.Type, a.Arm.Copy = evil, evil, "=cmd|' /C calc'!A0"
		if id > 2 {
			a.Arm.Action = evil[:40] + strconv.Itoa(int(id))
		}
		ev.Arms[id] = a
	}
	for i := range f.Decisions {
		f.Decisions[i].ID = evil
		f.Decisions[i].Outcomes = []console.OutcomeView{{Event: evil, Currency: evil[:30], Status: juncture.Status(evil), Value: math.Inf(1)}}
	}
	for i := range f.Events {
		e := &f.Events[i]
		e.Name, e.Category, e.Query, e.Order = evil, evil, evil, evil
		e.Lines = slices.Repeat([]juncture.Line{{Product: evil, Category: evil, Quantity: math.MaxInt, Price: math.MaxInt64}}, juncture.MaxLines)
	}
	ada := f.Shoppers["ada"]
	ada.CustomerID, ada.ProductCategories, ada.Posture, ada.Consent = evil, []string{evil, "\xff" + evil}, evil, evil
	ada.LifetimeValue, ada.AverageOrderValue = math.Inf(1), math.NaN()
	ada.Layers = map[string]juncture.LayerView{"moment": {Value: evil, Confidence: math.NaN(), Reason: "\xff" + evil}}
	ada.NextBestActions = []juncture.NextBestAction{{Surface: evil, ActionID: evil, Probability: math.NaN()}}
	f.Shoppers = map[string]console.ShopperView{"ada": ada, evil[:40]: ada}
	ada.Segment = evil
	f.Shoppers["bob"] = ada
	f.Broken = []juncture.Quarantined{{Reason: evil, Message: "\xfe" + evil, Example: evil, Count: math.MaxInt64}}
	f.Moves = append(f.Moves, juncture.Movement{Axis: evil, From: evil, To: evil, Reason: "\xff" + evil})
	f.Passed = append(f.Passed, juncture.MoveCount{Axis: "status", From: evil, To: evil, Shoppers: math.MaxInt64, Reason: "\xff" + evil}, juncture.MoveCount{Axis: evil, From: evil, To: evil, Shoppers: -1, Reason: evil})
	f.Counts = append(f.Counts, juncture.ValueCount{What: "meaning", Value: evil, Shoppers: math.MaxInt64 / 4}, juncture.ValueCount{What: evil, Value: evil, Shoppers: 3}, juncture.ValueCount{What: "moment", Value: "a.b.c.d.e", Shoppers: 4}, juncture.ValueCount{What: "posture", Value: evil, Shoppers: -9}, juncture.ValueCount{What: "window", Value: "", Shoppers: 2})
	f.Clusters.Items[0] = juncture.ClusterView{ID: evil[:40], Name: evil, Size: math.MaxInt, Top: []string{evil}, Voice: juncture.VoiceView{Tone: evil, Use: []string{evil, "\xff"}, Avoid: []string{"</textarea><script>"}}}
	f.Trials.Tripped["hero"] = juncture.Trip{Why: evil}
	f.Trials.Health["hero"] = console.HealthView{State: console.HealthState(evil), Sentences: []string{evil, "\xff"}}
	f.Trials.WhatIf.Policies[0].Policy, f.Trials.WhatIf.Policies[0].Arm, f.Trials.WhatIf.Policies[1].Estimate.Warnings, f.Trials.WhatIf.Policies[3].Estimate.Refused = evil, evil, []string{evil}, evil
	f.Trials.Products[0] = juncture.ProductItem{ID: evil, Title: evil, Category: evil, Brand: "\xff" + evil, Price: math.Inf(1), Compare: math.NaN(), Currency: evil[:20], Stock: math.MinInt64}
	f.Trials.Catalogue.Trending[0] = juncture.ProductView{ID: evil, Title: evil, Why: evil, Priority: evil, Price: math.NaN()}
	f.Trials.Catalogue.CrossSells[0] = juncture.CrossSell{Product: evil, With: evil, Lift: math.Inf(1), Orders: math.NaN()}
	f.Trials.Catalogue.Priorities[0] = juncture.Priority{ID: evil, Owner: evil, Why: evil, Products: []string{evil}}
	f.Trials.Catalogue.Editorial[0] = juncture.Editorial{ID: evil, Title: evil, URL: "javascript:alert(1)", Category: evil, Meaning: []string{evil}}
	f.Trials.Worth.NoHarm.Sentence, f.Trials.Worth.Tiers[0].Sentence, f.Trials.Worth.Tiers[1].Tier, f.Trials.Worth.Goal = evil, evil, evil, evil
	f.Trials.History = append(f.Trials.History, audit.Entry{Actor: evil, Action: evil, From: evil, After: []byte(evil)}, audit.Entry{After: []byte(`{"state": "<script>", "reason": "=1<script>"}`)})
	f.Consent["ada"] = juncture.ConsentRecord{Personalization: evil, Analytics: evil}
	for i := range f.Log.Items {
		d := &f.Log.Items[i]
		d.Arm, d.Shadow, d.Surface, d.Experiment, d.DecisionID, d.Reason, d.Detail = evil, evil, evil, evil, evil, juncture.Reason(evil), juncture.Detail(evil)
		d.ShopperID = evil
	}
	f.Desk.Users.Items[0] = juncture.UserView{Name: evil, Display: evil, Role: evil, SignIn: evil}
	f.Desk.Keys.Items[1] = juncture.KeyView{ID: evil, Name: evil, Scopes: []string{evil}, Origins: []string{evil}, Publishable: true}
	f.Desk.Shares.Items[0] = juncture.ShareView{ID: evil, Path: "javascript:alert(1)//" + evil, MadeBy: evil, ExpiresAt: now.Add(time.Hour)}
	f.Desk.Set.Groups[0].Lines[0] = juncture.SettingLine{Key: evil, Title: evil, Value: evil}
	f.Desk.Log[129] = audit.Entry{Seq: 130, Actor: evil, Action: evil, Subject: evil, From: evil, Before: []byte(`{"` + "a" + `":"<script>"}`), After: []byte(evil)}
	h := serve(t, f)
	for _, path := range []string{decisionsPath, decisionsPath + ".csv", followUpPath, followUpPath + ".csv?list=apart", followUpPath + ".csv?list=thin", followUpPath + ".csv?list=copy", decisionPath + "?id=900000&replay=1", decisionsPath + "?shopper=" + url.QueryEscape(evil) + "&action=" + url.QueryEscape(evil) + "&experiment=" + url.QueryEscape(evil[:80]), decisionPath + "?id=" + url.QueryEscape(evil), settingsPath, auditPath, auditPath + "?actor=" + url.QueryEscape(evil) + "&subject=" + url.QueryEscape(evil), auditPath + ".csv", auditPath + ".ndjson", preview.Link(cellPath), shopperPath + "?id=ada", shopperPath + "?id=bob", shopperPath + "?id=" + url.QueryEscape(evil[:40]), shopperPath + "?id=" + url.QueryEscape(evil),
		shopperPath + "?id=%ff%00", shopperPath + "?id=%00", layersPath, layersPath + "?saved=" + url.QueryEscape(evil[:40]), layersPath + "?days=" + url.QueryEscape(evil), homePath,
		trialsPath, trialsPath + ".csv", trialsPath + "/hero", trialsPath + "/hero/history.csv", trialsPath + "/hero/ship", trialsPath + "/hero?filter.lifecycle=" + url.QueryEscape(evil), trialsPath + "/" + url.PathEscape(evil), trialsPath + "/hero?over=" + url.QueryEscape(evil), trialsPath + "/hero/what-if", trialsPath + "/hero/what-if?ask=policies&only=" + url.QueryEscape(evil) + "&ceiling=" + url.QueryEscape(evil[:50]), trialsPath + "/hero/what-if?ask=policies&from=" + url.QueryEscape(evil), trialsPath + "/hero/what-if?ask=worth", trialsPath + "/hero/what-if.csv?ask=worth", cataloguePath, cataloguePath + "?q=" + url.QueryEscape(evil), cataloguePath + "?q=" + url.QueryEscape(evil[:50]), cataloguePath + "/products.csv", cataloguePath + "/priorities.csv", cataloguePath + "/editorial.csv",
		clusterPath + url.PathEscape(evil[:40]), clusterPath + url.PathEscape(evil), recordsPath + url.PathEscape(evil[:40]) + "/erase", recordsPath + "%ff%00/erase", recordsPath + "bob/export",
		layersPath + "/mix.csv", layersPath + "/moves.csv", layersPath + "/clusters.csv", layersPath + "/quarantine.csv", shopperPath + "/timeline.csv?id=ada", shopperPath + "/decisions.csv?id=ada", gridPath, gridPath + ".csv", listPath, listPath + ".csv", cellPath,
		strings.Replace(cellPath, "intersection?", "intersection.csv?", 1), signInPath,
		gridPath + "?experiment=" + url.QueryEscape(evil[:80]), intersectionPath + "?experiment=hero&key=" + url.QueryEscape(evil[:80])} {
		w := get(h, path, "admin")
		body := w.Body.String()
		if w.Code >= 500 || !utf8.ValidString(body) {
			t.Errorf("%s: %d", path, w.Code)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") || strings.HasPrefix(w.Header().Get("Content-Type"), "application/x-ndjson") || strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			continue
		}
		for _, bad := range []string{"<script", "<img", "\x00"} {
			if strings.Contains(liveScript.ReplaceAllString(body, ""), bad) {
				t.Errorf("%s: has %q", path, bad)
			}
		}
	}
}

func TestCSV(t *testing.T) {
	f := newFake()
	ev := f.Evidence["hero"]
	a := ev.Arms[1]
	a.Headline = `=HYPERLINK("http://evil")`
	ev.Arms[1] = a
	h := serve(t, f)
	for path, tt := range map[string]struct {
		rows int
		head string
	}{
		gridPath + ".csv?experiment=hero":          {22, "lifecycle,status,state,decisions"}, // 4 × 6 less the 2 that cannot be
		listPath + ".csv?filter.lifecycle=loyal":   {36, "key,moment,meaning"},               // 6 statuses × 2 modes × 3 clusters
		listPath + ".csv?filter.lifecycle=nobody":  {0, "key,moment,meaning"},
		strings.Replace(cellPath, "?", ".csv?", 1): {7, "key,action,action_version"}, // 6 arms and 1 past
	} {
		w := get(h, path, "good")
		rows, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || w.Code != 200 || len(rows) != tt.rows+1 || !strings.HasPrefix(strings.Join(rows[0], ","), tt.head) {
			t.Errorf("%s: %d, %d rows, %v, %v", path, w.Code, len(rows)-1, err, rows[0])
		}
		if !strings.HasPrefix(w.Header().Get("Content-Disposition"), `attachment; filename="hero-`) {
			t.Errorf("%s: %v", path, w.Header())
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t") {
					t.Errorf("%s: cell %q", path, cell)
				}
			}
		}
	}
	if w := get(h, gridPath+".csv", ""); w.Code != 303 {
		t.Errorf("without a session: %d", w.Code)
	}
}

func TestHead(t *testing.T) {
	h := serve(t, newFake())
	req := httptest.NewRequest(http.MethodHead, "http://shop.example"+signInPath, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != 200 {
		t.Errorf("HEAD: %d", w.Code)
	}
}

func BenchmarkGridPage(b *testing.B) {
	f := newFake()
	d := f.Deps()
	r := mount(b, console.Deps{Source: d.Source, Sessions: d.Sessions, Log: d.Log})
	for _, path := range []string{gridPath, gridPath + "?rows=meaning&cols=moment", cellPath} {
		b.Run(path, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n = get(r, path, "good").Body.Len()
			}
			b.ReportMetric(float64(n)/1024, "KiB")
		})
	}
}
