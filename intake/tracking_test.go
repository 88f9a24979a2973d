package intake

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
)

func parseOne(t *testing.T, body string) Incoming {
	t.Helper()
	got, err := ParseTracking("track", []byte(body), live())
	if err != nil || len(got.Items) != 1 || got.Items[0].Broken != nil {
		t.Fatalf("%s: %+v, %v", body, got, err)
	}
	return got.Items[0].Incoming
}

// What is personal never reaches the log: wherever it stands, however it is spelled, also in what is put aside.
func TestPersonalDataIsDropped(t *testing.T) {
	const who = `ann.smith@example.com`
	for _, c := range []struct{ event, kept string }{
		{`"traits":{"email":"ann.smith@example.com","name":"Ann Smith","plan":"gold"}`, `"traits":{"plan":"gold"}`},
		{`"traits":{"firstName":"Ann","last_name":"Smith","Phone":"+441234","address":{"street":"Elm","city":"Ely"},"age":41,"gender":"f","orders":3}`, `"traits":{"orders":3}`},
		{`"traits":{"religion":"x","ethnicity":"x","health_status":"x","sexual-orientation":"x","pregnant":true,"vip":true}`, `"traits":{"vip":true}`},
		{`"context":{"ip":"203.0.113.9","locale":"en","traits":{"email":"ann.smith@example.com"}}`, `"context":{"locale":"en","traits":{}}`},
		{`"context":{"device":{"id":"ABC","advertisingId":"7A3","name":"Ann's iPhone","type":"ios"},"location":{"city":"Ely"}}`, `"context":{"device":{"type":"ios"}}`},
		{`"properties":{"name":"Red Dress","customer":{"name":"Ann Smith","id":"c1"}}`, `"properties":{"name":"Red Dress","customer":{"id":"c1"}}`},
		{`"properties":{"customer_email":"ann.smith@example.com","shipping_address":{"x":1},"gender":"Women"}`, `"properties":{"gender":"Women"}`},
		{`"properties":{"user_data":{"sha256_email_address":"abc"},"n":[1,2]}`, `"properties":{"n":[1,2]}`},
		{`"properties":{"note":"write to ann.smith@example.com"}`, `"properties":{"note":"[removed]"}`},
		{`"properties":{"note":"write to ann.smith\u0040example.com"}`, `"properties":{"note":"[removed]"}`},
		{`"properties":{"ann.smith@example.com":true,"a":1}`, `"properties":{"a":1}`},
		{`"properties":{"\u0065mail":"x","a":1}`, `"properties":{"a":1}`},
		{`"properties":{"url":"https://shop.example/a?email=ann.smith%40example.com&b=1"}`, `"properties":{"url":"https://shop.example/a"}`},
		{`"properties":{"url":"https://medium.com/@brand.official/post","lib":"core@1.2.3"}`, `"properties":{"url":"https://medium.com/@brand.official/post","lib":"core@1.2.3"}`},
	} {
		body := `{"type":"track","userId":"u1","event":"x",` + c.event + `,"writeKey":"secret","sentAt":"2026-11-20T09:30:00Z"}`
		raw := string(parseOne(t, body).Raw)
		if want := `{"type":"track","userId":"u1","event":"x",` + c.kept + `}`; raw != want {
			t.Errorf("%s\n got %s\nwant %s", body, raw, want)
		}
		got, err := ParseTracking("track", []byte(strings.Replace(body, `"event":"x"`, `"event":"x","big":1e999`, 1)), live())
		if err != nil || got.Items[0].Broken == nil {
			t.Fatalf("%s: %+v, %v", body, got, err)
		}
		for _, secret := range []string{who, "Ann", "Smith", "+44", "203.0", "secret", "Elm", "Ely", "sha256"} {
			if strings.Contains(got.Items[0].Broken.Raw+raw, secret) {
				t.Errorf("%q is in %s or %s", secret, got.Items[0].Broken.Raw, raw)
			}
		}
	}
}

// Without a messageId the id is made of the event: the same for the same, whenever it is sent.
func TestMessageID(t *testing.T) {
	const event = `{"type":"track","userId":"u1","event":"x","timestamp":"2026-11-20T09:00:00Z"`
	a := parseOne(t, event+`,"sentAt":"2026-11-20T09:30:00Z"}`)
	b := parseOne(t, ` { "type":"track", "userId":"u1","event":"x","timestamp":"2026-11-20T09:00:00Z","messageId":null,"sentAt":"2026-11-20T09:31:00Z"}`)
	c := parseOne(t, event+`,"properties":{"n":1}}`)
	if !strings.HasPrefix(a.Event.ID, "auto-") || len(a.Event.ID) != 37 || a.Event.ID == c.Event.ID {
		t.Errorf("ids %s, %s, %s", a.Event.ID, b.Event.ID, c.Event.ID)
	}
	long := parseOne(t, event+`,"messageId":"`+strings.Repeat("m", 200)+`"}`)
	if !strings.HasPrefix(long.Event.ID, "auto-") {
		t.Errorf("a messageId of 200 characters is kept: %s", long.Event.ID)
	}
	if id := parseOne(t, event+`,"messageId":90071992547409931}`).Event.ID; id != "90071992547409931" {
		t.Errorf("a number as messageId: %s", id)
	}
}

func TestTrackingKeepsNothingOfTheBody(t *testing.T) {
	body := []byte(`{"batch":[{"type":"track","userId":"u1","messageId":"m1","event":"Product Viewed","properties":{"product_id":"p1","category":"Dresses"}}]}`)
	got, err := ParseTracking("batch", body, live())
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%+v %s", got.Items[0].Incoming.Event, got.Items[0].Incoming.Raw)
	for i := range body {
		body[i] = 'x'
	}
	if after := fmt.Sprintf("%+v %s", got.Items[0].Incoming.Event, got.Items[0].Incoming.Raw); after != before {
		t.Errorf("%s\nwas %s", after, before)
	}
}

func TestLinesAreBounded(t *testing.T) {
	lines := strings.Repeat(`{"product_id":"p","price":1,"quantity":2},`, 200)
	e := parseOne(t, `{"userId":"u1","event":"Order Completed","properties":{"order_id":"o","products":[`+lines[:len(lines)-1]+`]}}`).Event
	if len(e.Lines) != juncture.MaxLines || e.Value != 200*2*100 { // all lines count: 200 lines of two at a pound
		t.Errorf("%d lines, value %d", len(e.Lines), e.Value)
	}
}

func TestOrdersOfBadValue(t *testing.T) {
	for _, c := range []struct {
		event, properties string
		value             int64 // -1: it is put aside
	}{
		{"Order Completed", `"total":-50`, -1}, {"Order Completed", `"revenue":"(5.00)"`, -1}, {"Order Completed", `"total":0`, 0},
		{"Order Completed", `"total":1e10`, 1e12}, {"Order Completed", `"total":10000000000.01`, -1}, {"Order Completed", `"total":1e15`, -1},
		{"Order Completed", `"total":"1e300"`, -1}, {"Order Completed", `"total":-1e15`, -1}, {"Order Completed", `"total":"free","products":[{"product_id":"p","price":2}]`, 200},
		{"Order Completed", `"products":[{"product_id":"p","price":9999999999999,"quantity":99999999},{"product_id":"p","price":9999999999999,"quantity":99999999}]`, -1},
		{"Order Refunded", `"total":-50`, 5000}, {"Order Refunded", `"total":1e12`, -1}, {"Product Viewed", `"value":-50`, 0},
	} {
		got, err := ParseTracking("track", []byte(`{"userId":"u1","event":"`+c.event+`","properties":{"order_id":"o",`+c.properties+`}}`), live())
		if err != nil {
			t.Fatal(err)
		}
		switch item := got.Items[0]; {
		case c.value < 0 && (item.Broken == nil || item.Broken.Reason != ReasonValue):
			t.Errorf("%s %s: %+v", c.event, c.properties, item)
		case c.value >= 0 && (item.Broken != nil || item.Incoming.Event.Value != c.value):
			t.Errorf("%s %s: %+v, %+v", c.event, c.properties, item.Broken, item.Incoming.Event)
		}
	}
	for item, err := range ReadEvents(strings.NewReader(`{"ID":"1","Kind":14,"Shopper":"u","At":"2026-01-01T00:00:00Z","Order":"o","Value":-5}`), TrackingOptions{}) {
		if item.Broken == nil || item.Broken.Reason != ReasonValue || err == nil {
			t.Errorf("an exported one: %+v, %v", item, err)
		}
	}
}

// Without an id and a time of its own an event is the same only within a minute.
func TestMessagesWithoutIdOrTime(t *testing.T) {
	id := func(event string, later time.Duration) string {
		t.Helper()
		o := live()
		o.Received = o.Received.Truncate(time.Minute).Add(later)
		got, err := ParseTracking("track", []byte(event), o)
		if err != nil || got.Items[0].Broken != nil {
			t.Fatalf("%+v, %v", got, err)
		}
		return got.Items[0].Incoming.Event.ID
	}
	for event, want := range map[string]bool{
		`{"userId":"u1","event":"Order Completed","properties":{"total":20}}`:                                            false,
		`{"userId":"u1","event":"Order Completed","timestamp":"","properties":{"total":20}}`:                             false,
		`{"userId":"u1","event":"Order Completed","timestamp":"2026-09-01T00:00:00Z","properties":{"total":20}}`:         true,
		`{"userId":"u1","event":"Order Completed","originalTimestamp":"2026-09-01T00:00:00Z","properties":{"total":20}}`: true,
		`{"userId":"u1","event":"Order Completed","messageId":"m","properties":{"total":20}}`:                            true,
	} {
		if id(event, 0) != id(event, 59*time.Second) {
			t.Errorf("%s is another within the minute", event)
		}
		if same := id(event, 0) == id(event, 39*24*time.Hour); same != want {
			t.Errorf("%s is the same 39 days later: %v", event, same)
		}
	}
}

func TestParseAmount(t *testing.T) {
	for _, c := range []struct {
		in       string
		digits   int
		want     int64
		currency string
		ok       bool
	}{
		{"19.99", 2, 1999, "", true}, {"0.1", 2, 10, "", true}, {"19", 2, 1900, "", true}, {"19.995", 2, 2000, "", true},
		{"19.990000000000002", 2, 1999, "", true}, {"1e3", 2, 100000, "", true}, {"-5", 2, -500, "", true}, {".5", 2, 50, "", true},
		{"£19.99", 2, 1999, "", true}, {"$1,299.00", 2, 129900, "", true}, {"1.299,00 EUR", 2, 129900, "EUR", true}, {"19,99", 2, 1999, "", true},
		{"1,299", 2, 129900, "", true}, {"1.299.000", 2, 129900000, "", true}, {"19.99 USD", 2, 1999, "USD", true}, {"1'299.50", 2, 129950, "", true},
		{"1500", 0, 1500, "", true}, {"1500.6", 0, 1501, "", true}, {"1.234", 3, 1234, "", true}, {"(5.00)", 2, -500, "", true},
		{"NaN", 2, 0, "", false}, {"Infinity", 2, 0, "", false}, {"", 2, 0, "", false}, {"free", 2, 0, "", false}, {"1-2", 2, 0, "", false},
		{"9999999999999999", 2, 0, "", false}, {"1e999", 2, 0, "", false}, {"1e300", 2, 0, "", false}, {".", 2, 0, "", false},
	} {
		got, currency, ok := parseAmount(c.in, c.digits)
		if ok != c.ok || ok && (got != c.want || currency != c.currency) {
			t.Errorf("%q: %d %q %t, want %d %q %t", c.in, got, currency, ok, c.want, c.currency, c.ok)
		}
	}
}

func TestCategoryOf(t *testing.T) {
	for in, want := range map[string]string{"Dresses": "dresses", " Apparel > Women/Dresses ": "dresses", "Home  &  Garden": "home & garden",
		"a > ": "a", ">": "", "": "", "ÉTÉ": "été", "a\x00b": "", "Bags|Totes": "totes"} {
		if got := categoryOf(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestInflate(t *testing.T) {
	pack := func(b []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(b)
		_ = z.Close()
		return out.Bytes()
	}
	want := []byte(`{"batch":[]}`)
	if got, err := Inflate(bytes.NewReader(pack(want)), 100); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s, %v", got, err)
	}
	bomb := pack(bytes.Repeat([]byte{0}, 64<<20))
	read := &counting{r: bytes.NewReader(bomb)}
	if _, err := Inflate(read, 1000); juncture.ErrorCode(err) != juncture.CodeTooLarge || read.n > 8<<10 {
		t.Errorf("a bomb: %v after %d bytes", err, read.n)
	}
	if _, err := Inflate(bytes.NewReader(bytes.Repeat(pack(nil), 1000)), 1000); juncture.ErrorCode(err) != juncture.CodeTooLarge {
		t.Errorf("a thousand empty members: %v", err)
	}
	for name, b := range map[string][]byte{"plain": want, "empty": nil, "cut": pack(want)[:20], "header": {0x1f, 0x8b}} {
		if _, err := Inflate(bytes.NewReader(b), 100); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b[:min(len(b), 4096)])
	c.n += n
	return n, err
}

func TestReadEvents(t *testing.T) {
	exported, err := json.Marshal(juncture.Event{ID: "e1", Kind: juncture.EventProductViewed, Name: "Product Viewed", Shopper: "s1",
		At: received().Add(-time.Hour), Lines: []juncture.Line{{Product: "p1", Quantity: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	file := "\xef\xbb\xbf" + `{"type":"track","userId":"u1","event":"Product Viewed","timestamp":"2009-01-01T00:00:00Z","properties":{"product_id":"p1"}}

` + string(exported) + `
{"batch":[{"type":"page","userId":"u1","timestamp":"2026-01-01T00:00:00Z"},{"type":"page","userId":"u1"}]}
not json
{"type":"track","userId":"u1","event":"x","timestamp":"2026-01-02T00:00:00Z","originalTimestamp":"2026-01-01T00:00:00Z"}
` + strings.Repeat("x", MaxEventBatch+1) + `
{"type":"identify","userId":"u1","timestamp":"2030-01-02T00:00:00Z"}`
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(file))
	_ = z.Close()
	for name, r := range map[string]io.Reader{"plain": strings.NewReader(file), "gzip": &packed} {
		var got []string
		for item, err := range ReadEvents(r, TrackingOptions{Currency: "GBP"}) {
			if err != nil {
				got = append(got, err.Error())
				continue
			}
			got = append(got, eventLineText(item.Incoming))
		}
		want := []string{
			`viewed "Product Viewed" user=u1 at=2009-01-01T00:00:00Z [p1 x1 @0]`,
			`viewed "Product Viewed" user=s1 id=e1 at=2026-11-20T08:30:00Z [p1 x1 @0]`,
			`page "page" user=u1 at=2026-01-01T00:00:00Z`,
			`line 4: bad_time: the timestamp cannot be read; send 2026-11-20T09:30:00Z`,
			`line 5: not valid JSON at byte 1`,
			`other "x" user=u1 at=2026-01-02T00:00:00Z`,
			`line 7: the line is longer than 512000 bytes`,
			`identified "identify" user=u1 at=2030-01-02T00:00:00Z`,
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Bodies made to be slow cost no more than others of their length.
func TestHostileBodiesAreCheap(t *testing.T) {
	for name, value := range map[string]string{
		"ats":         `"` + strings.Repeat("a@", 240_000) + `"`,
		"coded ats":   `"` + strings.Repeat("a%40", 120_000) + `"`,
		"half a mail": `"` + strings.Repeat("a@b-", 120_000) + `"`,
		"escapes":     `"` + strings.Repeat(`\\u`, 160_000) + `"`,
		"numbers":     `[` + strings.Repeat("0,", 240_000) + `0]`,
		"ranges":      `[` + strings.Repeat("1e999,", 80_000) + `0]`,
		"keys":        `{` + strings.Repeat(`"email":1,`, 48_000) + `"a":1}`,
		"deep":        strings.Repeat(`[`, 200) + strings.Repeat(`]`, 200),
	} {
		start := time.Now()
		got, err := ParseTracking("batch", []byte(`{"batch":[{"type":"track","userId":"u","event":"x","properties":{"a":`+value+`}},{}]}`), live())
		if err != nil || len(got.Items) != 2 || got.Items[0].Broken == nil {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > 2*time.Second { // a few ms; seconds when a step goes over the rest each time
			t.Errorf("%s took %v", name, took)
		}
	}
}

func benchBatch() []byte {
	var b strings.Builder
	b.WriteString(`{"writeKey":"k","sentAt":"2026-11-20T09:29:59Z","batch":[`)
	for i := range 100 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"track","event":"Product Viewed","messageId":"ajs-next-17636309981-%d","anonymousId":"8f1c2a5e-7e2b-4d8e-9a55-0f6a4a2c1b77","userId":"u%d","timestamp":"2026-11-20T09:29:58.120Z","properties":{"product_id":"507f1f77bcf86cd7994390%d","sku":"G-32","category":"Games","name":"Monopoly: 3rd Edition","brand":"Hasbro","variant":"200 pieces","price":18.99,"quantity":1,"currency":"GBP","position":3,"url":"https://www.example.com/product/path"},"context":{"page":{"path":"/product/path","referrer":"","search":"","title":"Monopoly","url":"https://www.example.com/product/path"},"userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)","locale":"en-GB","library":{"name":"analytics.js","version":"next-1.70.0"},"sessionId":1763630000}}`, i, i, i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func BenchmarkParseTracking(b *testing.B) {
	body := benchBatch()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		got, err := ParseTracking("batch", body, live())
		if err != nil || len(got.Items) != 100 || got.Items[99].Broken != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}

func FuzzParseTracking(f *testing.F) {
	for _, seed := range []string{`{"batch":[{"type":"track","userId":"u","event":"Order Completed","properties":{"products":[{"id":1,"price":"1,2"}],"value":1e9}}]}`,
		`{"userId":"u","event":"Product Viewed","timestamp":"1763625600","properties":{"product_id":"a\u0000"}}`, `[[]]`, `{"batch":[1,{"a":1e999}]}`,
		"{\"userId\":\"\xff\",\"event\":\"x\"}", `{"userId":"u","previousId":"b","context":{"consent":{"categoryPreferences":{"a":true}}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, call := range []string{"batch", "track", "page", "alias"} {
			got, err := ParseTracking(call, b, live())
			if err != nil {
				if juncture.ErrorCode(err) == juncture.CodeInternal || len(got.Items) > 0 {
					t.Fatalf("%q: %v", b, err)
				}
				continue
			}
			if !json.Valid(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))) {
				t.Fatalf("%q is not JSON", b)
			}
			for _, item := range got.Items {
				if item.Broken == nil {
					checkIncoming(t, item.Incoming)
				} else if item.Broken.Message == "" || len(item.Broken.Raw) > brokenPrefix {
					t.Fatalf("%q: %+v", b, item.Broken)
				}
			}
		}
	})
}
