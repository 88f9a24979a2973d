package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
)

// Lengths of 3GPP TS 23.038 and 23.040: 160 then 153 places, 70 then 67 units; € takes two places, 😀 two units.
func TestTextMessages(t *testing.T) {
	for text, want := range map[string][3]int{"": {0, 0, 0}, "Hi": {2, 1, 0}, strings.Repeat("a", 160): {160, 1, 0}, strings.Repeat("a", 161): {161, 2, 0}, strings.Repeat("a", 306): {306, 2, 0}, strings.Repeat("a", 307): {307, 3, 0},
		strings.Repeat("€", 80): {160, 1, 0}, "ç": {1, 1, 1}, "😀": {2, 1, 1}, strings.Repeat("я", 70): {70, 1, 1}, strings.Repeat("я", 71): {71, 2, 1}} {
		places, segments, wide := smsLength(text)
		if got := [3]int{places, segments, map[bool]int{true: 1}[wide]}; got != want {
			t.Errorf("%.20q: %v, want %v", text, got, want)
		}
	}
}

func TestWhySaid(t *testing.T) {
	for _, tt := range []struct {
		d    DecisionView
		want string
	}{
		{DecisionView{}, ""},
		{DecisionView{Reason: juncture.ReasonSplit, Group: juncture.GroupHoldout, Detail: juncture.DetailHoldout}, "Held out: the page without Juncture"},
		{DecisionView{Reason: juncture.ReasonSplit}, "Drawn by the group's rule"},
		{DecisionView{Reason: juncture.ReasonDefault, Detail: juncture.DetailConsentDenied}, "The default, consent was denied"},
		{DecisionView{Reason: juncture.ReasonTargeting, Detail: "NEW"}, "The only action that was eligible (NEW)"},
		{DecisionView{Reason: "ODD"}, "ODD"},
	} {
		if got := whySaid(tt.d); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestConsoleShopperSaid(t *testing.T) {
	for _, tt := range []struct{ segment, reason, posture, want string }{
		{"v1/prospect.browsing._/_/low.none/_", "no order; last seen 3 minutes ago, nothing pending; fewer than 3 product events in a session", "none",
			"prospect, last seen 3 minutes ago, intent low."},
		{"v1/prospect.checkout-abandoned.considering/_/high.none/_", "no order; left a checkout 2 hours ago without ordering; x", "none",
			"prospect who left a checkout 2 hours ago without ordering, intent high."},
		{"v1/loyal.at-risk._/_/fading.none/_", "4 orders; no order for 96 days; before that every 30 days; x", "none",
			"loyal customer at risk, with no order for 96 days, intent fading."},
		{"v1/returning.dormant._/_/_/_", "2 orders; no event for 120 days; x", "none", "returning buyer gone quiet, with no event for 120 days."},
		{"v1/first-time.freshly-converted._/_/high.steady/_", "one order; ordered 2 days ago; x", "hesitating-on-a-product-page",
			"first-time buyer who ordered 2 days ago, intent high and steady right now, hesitating on a product page."},
		{"v1/prospect.cart-abandoned._/_/_/_", "the words changed", "none", "prospect who left a filled cart."},
		{"v1/vip/_/_/_", "", "none", "one of the shoppers in vip."},
		{"v1/_/_/_/_", "", "none", "a shopper of whom too little is known to say more."},
		{"nonsense", "", "none", "a shopper of whom too little is known to say more."},
	} {
		v := ShopperView{ProfileView: juncture.ProfileView{Segment: tt.segment, Posture: tt.posture, Layers: map[string]juncture.LayerView{"moment": {Reason: tt.reason}}}}
		if got := said(v, nil); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.segment, got, tt.want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Hour: "just now", time.Minute: "1 minute ago", 84 * time.Minute: "84 minutes ago",
		5 * time.Hour: "5 hours ago", 50 * time.Hour: "2 days ago"} {
		if got := ago(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestDifference(t *testing.T) {
	for _, tt := range []struct {
		before, after string
		want          string
	}{
		{"", "", ""}, {"", `{"a":1}`, "a::1"}, {`{"a":1}`, "", "a:1:"}, {`{"a":{"b":[1,2]}}`, `{"a":{"b":[1,3,4]}}`, "a.b[1]:2:3 a.b[2]::4"},
		{`{"a":1e400}`, `{"a":12345678901234567890}`, "a:1e400:12345678901234567890"}, {`{"a":null,"b":""}`, `{"a":false,"b":"x"}`, `a:null:false b:"":x`},
		{`not json`, `"not json"`, ""}, {`{"a":`, `7`, `:{"a"::7`},
	} {
		var got []string
		for _, l := range difference([]byte(tt.before), []byte(tt.after)) {
			got = append(got, l.Key+":"+l.Had+":"+l.Has)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s to %s: %s, want %s", tt.before, tt.after, s, tt.want)
		}
	}
}

func TestNeutral(t *testing.T) {
	for in, want := range map[string]string{"": "", "a": "a", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "a=1": "a=1", "＝1": "'＝1", "\x00=1": "'=1"} {
		if got := neutral(in); got != want {
			t.Errorf("neutral(%q) = %q", in, got)
		}
	}
}

func TestTakesGzip(t *testing.T) {
	for accept, want := range map[string]bool{"": false, "gzip": true, "GZIP": true, "br, gzip ; q=0.5": true, "gzip;q=0": false, "gzip;q=x": false, "deflate": false, "xgzip": false} {
		if takesGzip(accept) != want {
			t.Errorf("%q takes gzip: %v", accept, !want)
		}
	}
}

func TestLegible(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "\xff\xfea": "\ufffda", "a\u202eb\u202d": "a\ufffdb\ufffd", "\u2066עברית\u2069\u200f": "\u2066עברית\u2069\u200f"} {
		if got := string(legible([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A table that takes long is sent in parts, and is the same as one that is sent as a whole.
func TestTableInParts(t *testing.T) {
	table := func(parts bool) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		g, _ := gin.CreateTestContext(w)
		g.Request = httptest.NewRequest(http.MethodGet, "/", nil)
		b := newTable("key", "n")
		for i := range 3 {
			b.row("=a", whole(int64(i)))
			if parts {
				if err := b.part(g, "x"); err != nil {
					t.Fatal(err)
				}
				if got := strings.Count(w.Body.String(), "\n"); got != i+2 {
					t.Errorf("after row %d %d lines were sent", i, got)
				}
			}
		}
		b.send(g, "x")
		return w
	}
	whole, parts := table(false), table(true)
	if whole.Body.String() != parts.Body.String() || parts.Header().Get("Content-Disposition") != whole.Header().Get("Content-Disposition") || parts.Header().Get("Content-Type") != whole.Header().Get("Content-Type") || !parts.Flushed {
		t.Errorf("%q %v, want %q %v", parts.Body, parts.Header(), whole.Body, whole.Header())
	}
}

// What is folded away is the rest of what is shown: no word is lost.
func TestFold(t *testing.T) {
	long := strings.Repeat("for everything that you kept ", 60)
	f := fold(long, mostShown)
	if got := strings.Fields(strings.ReplaceAll(f.Shown+" "+f.Rest, "…", "")); strings.Join(got, " ") != strings.Join(strings.Fields(long), " ") || f.Rest == "" {
		t.Errorf("%d words of %d", len(got), len(strings.Fields(long)))
	}
}
