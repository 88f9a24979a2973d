package traffic

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/juncture/juncture"
)

func start() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

func refused(t *testing.T, what string, err error) {
	t.Helper()
	if juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Errorf("%s: %v, want a refusal", what, err)
	}
}

func TestAgent(t *testing.T) {
	for _, c := range []struct {
		agent, part string
	}{
		{"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "googlebot"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0 Safari/537.36", "bingbot"},
		{"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "facebookexternalhit"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36", "headlesschrome"},
		{"Mozilla/5.0 (compatible; AcmeBot/1.0)", "bot"},
		{"acme-bot", "bot"},
		{"SomeCrawler 2", "crawl"},
		{"curl/8.5.0", ""}, // whoever tries the API out
		{"Better Uptime Monitor", "monitor"},
		{"", ""},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1", ""},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0", ""},
		{"Mozilla/5.0 (Linux; Android 11; CUBOT X50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36", ""},
		{"okhttp/4.12.0", ""},                           // shops' own Android apps
		{"Shop/3 CFNetwork/1410.0.3 Darwin/22.6.0", ""}, // and their iOS apps
	} {
		if part, program := Agent(c.agent); part != c.part || program != (c.part != "") {
			t.Errorf("%q: %q, %v", c.agent, part, program)
		}
	}
}

func TestAddresses(t *testing.T) {
	l, err := ParseAddresses([]string{"203.0.113.0/24", " 198.51.100.7 ", "2001:db8:1::/48", "::ffff:192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]bool{
		"203.0.113.200": true, "203.0.114.1": false, "198.51.100.7": true, "198.51.100.8": false,
		"::ffff:203.0.113.9": true, "2001:db8:1:2::3": true, "2001:db8:2::1": false, "192.0.2.1": true, "fe80::1%eth0": false,
	} {
		if got := l.Contains(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
	if l.Contains(netip.Addr{}) || (Addresses{}).Contains(netip.MustParseAddr("203.0.113.1")) {
		t.Error("nothing is on no list")
	}
	for _, s := range []string{"", "shop.example", "203.0.113.0/33", "0.0.0.0/0", "2001::/8", "fe80::1%eth0", "::ffff:10.0.0.0/104"} {
		_, err := ParseAddresses([]string{s})
		refused(t, s, err)
	}
	_, err = ParseAddresses(make([]string, MaxAddresses+1))
	refused(t, "many", err)
}

func counters(t testing.TB, most int, limits ...Limit) *Rates {
	t.Helper()
	r, err := NewRates(limits, most, maphash.MakeSeed())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestImpossibleRates(t *testing.T) {
	r := counters(t, 100, Limits()...)
	for i := range 301 {
		why, impossible := r.Count("ada", CallChoose, start().Add(time.Duration(i)*100*time.Millisecond))
		if impossible != (i == 300) || impossible && why != "more than 300 decisions within 1m0s" {
			t.Fatalf("call %d: %v, %q", i+1, impossible, why)
		}
	}
	// 301 within a minute are too many; a little under five a second for an hour would be: the longer limit is 3,000.
	found := 0
	for i := range 3600 {
		if _, impossible := r.Count("bob", CallChoose, start().Add(time.Duration(i)*time.Second)); impossible {
			found = i + 1
			break
		}
	}
	if found != 3001 {
		t.Errorf("found at call %d", found)
	}
	// Another kind of call, and no shopper, are not counted with it.
	if _, impossible := r.Count("ada", CallReward, start()); impossible {
		t.Error("decisions counted as outcomes")
	}
	if _, impossible := r.Count("", CallChoose, start()); impossible {
		t.Error("nobody was counted")
	}
}

// Who stays within the limit in every window is never flagged; who passes it within five sixths of one always is.
func TestWindowsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 10
		window := time.Minute
		r, err := NewRates([]Limit{{CallChoose, most, window}}, 10, maphash.MakeSeed())
		if err != nil {
			t.Fatal(err)
		}
		var times []time.Duration
		at := time.Duration(0)
		for range rapid.IntRange(1, 80).Draw(t, "calls") {
			at += time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "gap"))
			times = append(times, at)
			within := func(d time.Duration) (n int) {
				for _, x := range times {
					if x > at-d {
						n++
					}
				}
				return n
			}
			_, impossible := r.Count("ada", CallChoose, start().Add(at))
			if impossible && within(window) <= most {
				t.Fatalf("%d calls within the window were called too many", within(window))
			}
			if !impossible && within(window*(slots-1)/slots) > most {
				t.Fatalf("%d calls within five sixths of the window passed", within(window*(slots-1)/slots))
			}
		}
	})
}

func TestRatesMemoryIsBounded(t *testing.T) {
	r := counters(t, 100, Limit{CallChoose, 50, time.Hour})
	found := false
	for i := range 10_000 {
		at := start().Add(time.Duration(i) * time.Millisecond)
		r.Count(fmt.Sprint("passer-by-", i), CallChoose, at)
		if i%50 == 0 { // one of them comes back all the time and is not forgotten
			_, found = r.Count("robot", CallChoose, at)
		}
		if n := r.seen.len(); n > 200 {
			t.Fatalf("%d shoppers are kept", n)
		}
	}
	if !found {
		t.Error("200 calls of one shopper were lost among the others")
	}
}

func TestRatesRefuse(t *testing.T) {
	for name, l := range map[string]Limit{
		"no call": {calls, 1, time.Minute}, "none": {CallChoose, 0, time.Minute}, "many": {CallChoose, 1 << 17, time.Minute}, "short": {CallChoose, 1, time.Millisecond}, "long": {CallChoose, 1, 1000 * time.Hour},
	} {
		_, err := NewRates([]Limit{l}, 10, maphash.MakeSeed())
		refused(t, name, err)
	}
	_, err := NewRates(make([]Limit, MaxLimits+1), 10, maphash.MakeSeed())
	refused(t, "limits", err)
	_, err = NewRates(nil, 0, maphash.MakeSeed())
	refused(t, "nobody", err)
}

func scanner(t testing.TB, set ScannerSettings) *MailScanner {
	t.Helper()
	m, err := NewMailScanner(set, maphash.MakeSeed())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type click struct {
	decision uint64
	shopper  string
	link     string
	after    time.Duration // of delivery
}

func TestMailScanner(t *testing.T) {
	for _, c := range []struct {
		name   string
		clicks []click
		want   []bool
	}{
		{"a person", []click{{1, "ada", "/a", 4 * time.Second}, {1, "ada", "/b", 40 * time.Second}}, []bool{false, false}},
		{"a person who is quick and clicks twice", []click{{1, "ada", "/a", 2 * time.Second}, {1, "ada", "/a", 3 * time.Second}}, []bool{false, false}},
		{"every link of a mail", []click{{1, "ada", "/a", 2 * time.Second}, {1, "ada", "/b", 2 * time.Second}, {1, "ada", "/c", 3 * time.Second}}, []bool{false, true, true}},
		{"the mail's shopper is not known", []click{{1, "", "/a", time.Second}, {1, "", "/b", time.Second}}, []bool{false, true}},
		{"the same link of two decisions in one mail", []click{{1, "ada", "/a", time.Second}, {2, "ada", "/a", time.Second}}, []bool{false, true}},
		{"two shoppers", []click{{1, "ada", "/a", time.Second}, {2, "bob", "/b", time.Second}}, []bool{false, false}},
		{"before the delivery is known", []click{{1, "ada", "/a", -time.Second}, {1, "ada", "/b", -time.Second}}, []bool{false, true}},
	} {
		m := scanner(t, ScannerSettings{})
		for i, k := range c.clicks {
			why, found := m.Click(k.decision, k.shopper, k.link, start(), start().Add(k.after))
			if found != c.want[i] || found != (why != "") {
				t.Errorf("%s: click %d: %v, %q", c.name, i+1, found, why)
			}
		}
	}
	// One click each on two mails of two days is a person who waits for them.
	m := scanner(t, ScannerSettings{})
	for i := range 5 {
		delivered := start().AddDate(0, 0, i)
		if why, found := m.Click(uint64(i), "ada", "/a", delivered, delivered.Add(time.Second)); found {
			t.Errorf("day %d: %s", i, why)
		}
	}
}

func TestMailScannerSettings(t *testing.T) {
	m := scanner(t, ScannerSettings{Within: time.Second, Links: 4, Most: 10})
	for i := range 1000 {
		_, found := m.Click(uint64(i), fmt.Sprint(i), "/a", start(), start())
		if found || m.decisions.len() > 20 || m.shoppers.len() > 20 {
			t.Fatalf("%v; %d and %d kept", found, m.decisions.len(), m.shoppers.len())
		}
	}
	for i := range 4 {
		if _, found := m.Click(5000, "x", fmt.Sprint(i), start(), start()); found != (i == 3) {
			t.Errorf("link %d: %v", i+1, found)
		}
	}
	for _, set := range []ScannerSettings{{Within: -1}, {Within: time.Hour}, {Links: 1}, {Links: 17}, {Most: -1}} {
		_, err := NewMailScanner(set, maphash.MakeSeed())
		refused(t, "settings", err)
	}
}

func FuzzAgent(f *testing.F) {
	f.Add("Mozilla/5.0 (compatible; Googlebot/2.1)")
	f.Add("cubot bot")
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, s string) {
		if part, program := Agent(s); program != (part != "") {
			t.Fatalf("%q: %q, %v", s, part, program)
		}
	})
}

func FuzzAddresses(f *testing.F) {
	f.Add("203.0.113.0/24")
	f.Add("::ffff:1.2.3.4/120")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseAddresses([]string{s})
		if err != nil {
			refused(t, s, err)
			return
		}
		if len(l.networks) != 1 || !l.Contains(l.networks[0].Addr()) {
			t.Fatalf("%q: %v does not contain itself", s, l.networks)
		}
	})
}
