package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
)

func received() time.Time { return time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC) }

func live() TrackingOptions { return TrackingOptions{Received: received(), Currency: "GBP"} }

func kindName(k juncture.EventKind) string {
	return [...]string{"other", "page", "article", "search", "list", "clicked", "viewed", "detail", "wishlisted", "added", "removed", "cart",
		"checkout", "step", "order", "cancelled", "refunded", "campaign", "identified", "reviewed", "emptied"}[k]
}

// eventLineText writes an event as the golden table does: only what is there, times only where they are not when the
// body arrived.
func eventLineText(in Incoming) string {
	e := in.Event
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", kindName(e.Kind), e.Name)
	add := func(format string, v any, there bool) {
		if there {
			fmt.Fprintf(&b, " "+format, v)
		}
	}
	add("user=%s", in.UserID, in.UserID != "")
	add("anon=%s", in.AnonymousID, in.AnonymousID != "")
	add("previous=%s", in.PreviousID, in.PreviousID != "")
	add("id=%s", e.ID, !strings.HasPrefix(e.ID, "auto-"))
	add("at=%s", e.At.Format("2006-01-02T15:04:05.999Z07:00"), !e.At.Equal(received()))
	add("session=%s", e.Session, e.Session != "")
	for _, l := range e.Lines {
		add("[%s]", strings.TrimSpace(fmt.Sprintf("%s x%d @%d %s", l.Product, l.Quantity, l.Price, l.Category)), true)
	}
	add("category=%q", e.Category, e.Category != "")
	add("query=%q", e.Query, e.Query != "")
	add("order=%s", e.Order, e.Order != "" && e.Order != e.ID)
	add("value=%d", e.Value, e.Value != 0)
	add("personalization=%s", in.Consent.Personalization, in.Consent.Personalization != "")
	add("analytics=%s", in.Consent.Analytics, in.Consent.Analytics != "")
	return b.String()
}

// TestTrackingTable reads testdata/tracking.txt: a call and its body on a line, what comes of it on lines with an equals
// sign. JUNCTURE_GOLDEN=write writes what comes of it now; read the difference before keeping it.
func TestTrackingTable(t *testing.T) {
	const file = "testdata/tracking.txt"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	bodies := 0
	text := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	for i := 0; i < len(text); i++ {
		line := text[i]
		if strings.HasPrefix(line, "=") {
			continue
		}
		out = append(out, line)
		if line == "" || line[0] == '#' {
			continue
		}
		bodies++
		call, body, _ := strings.Cut(line, " ")
		var got []string
		tracked, err := ParseTracking(call, []byte(body), live())
		if err != nil {
			got = append(got, "= error "+err.Error())
		}
		for _, item := range tracked.Items {
			if item.Broken != nil {
				got = append(got, fmt.Sprintf("= broken %s: %s", item.Broken.Reason, item.Broken.Message))
				continue
			}
			got = append(got, "= "+eventLineText(item.Incoming))
			checkIncoming(t, item.Incoming)
		}
		var want []string
		for j := i + 1; j < len(text) && strings.HasPrefix(text[j], "="); j++ {
			want = append(want, text[j])
		}
		if os.Getenv("JUNCTURE_GOLDEN") == "" && strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:%d: %s\n got %s\nwant %s", file, i+1, line, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
		out = append(out, got...)
	}
	if bodies < 60 {
		t.Errorf("the table has %d bodies, want at least 60", bodies)
	}
	if os.Getenv("JUNCTURE_GOLDEN") == "write" {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkIncoming holds what is true of every event that comes out.
func checkIncoming(t *testing.T, in Incoming) {
	t.Helper()
	e := in.Event
	switch {
	case !json.Valid(in.Raw):
		t.Errorf("raw is not JSON: %s", in.Raw)
	case in.UserID == "" && in.AnonymousID == "":
		t.Errorf("nobody's event: %+v", in)
	case e.Shopper != "" || e.ID == "" || e.Name == "":
		t.Errorf("shopper %q, id %q, name %q", e.Shopper, e.ID, e.Name)
	case len(e.Lines) > juncture.MaxLines || e.Value < 0 || e.Value > maxAmount:
		t.Errorf("%d lines, value %d", len(e.Lines), e.Value)
	case e.At.Location() != time.UTC || e.At.Nanosecond()%1e6 != 0:
		t.Errorf("at %v", e.At)
	case e.Category != strings.ToLower(e.Category) || mailAt([]byte(e.Query+" "+e.Name+" "+e.Category)) >= 0:
		t.Errorf("category %q, query %q, name %q", e.Category, e.Query, e.Name)
	}
	for _, l := range e.Lines {
		if l.Product == "" || l.Quantity < 1 || l.Quantity > maxQuantity || l.Price < 0 || l.Price > maxAmount {
			t.Errorf("line %+v", l)
		}
	}
}

func TestTrackingRefusals(t *testing.T) {
	many := `{"batch":[` + strings.Repeat(`{},`, MaxEvents) + `{}]}`
	for _, c := range []struct {
		name, call, body string
		code             juncture.Code
	}{
		{"unknown call", "delete", `{}`, juncture.CodeNotFound},
		{"empty", "batch", ``, juncture.CodeInvalidRequest},
		{"not JSON", "batch", `event=Product+Viewed`, juncture.CodeInvalidRequest},
		{"list", "track", `[]`, juncture.CodeInvalidRequest},
		{"cut short", "batch", `{"batch":[{"type":"track"`, juncture.CodeInvalidRequest},
		{"more after the end", "track", `{} {}`, juncture.CodeInvalidRequest},
		{"no batch", "batch", `{"events":[]}`, juncture.CodeInvalidRequest},
		{"batch is no list", "batch", `{"batch":{}}`, juncture.CodeInvalidRequest},
		{"too large", "batch", `{"batch":["` + strings.Repeat("x", MaxEventBatch) + `"]}`, juncture.CodeTooLarge},
		{"too many", "batch", many, juncture.CodeTooLarge},
		{"endless depth", "batch", strings.Repeat("[", 100_000), juncture.CodeInvalidRequest},
		{"endless depth in an object", "track", strings.Repeat(`{"a":`, 50_000), juncture.CodeInvalidRequest},
	} {
		got, err := ParseTracking(c.call, []byte(c.body), live())
		if juncture.ErrorCode(err) != c.code || len(got.Items) > 0 {
			t.Errorf("%s: %d items, %v; want %s", c.name, len(got.Items), err, c.code)
		}
		if e, ok := errors.AsType[*juncture.Error](err); ok && e.Message == "" {
			t.Errorf("%s: no message", c.name)
		}
	}
}

// A broken event harms no neighbour: every reason, each between two sound events.
func TestTrackingQuarantine(t *testing.T) {
	good := `{"type":"track","userId":"u1","event":"Product Viewed","properties":{"product_id":"p1"}}`
	deep := strings.Repeat(`{"a":`, eventDepth) + `1` + strings.Repeat(`}`, eventDepth)
	for _, c := range []struct {
		event  string
		reason Reason
	}{
		{`"text"`, ReasonNotObject},
		{`null`, ReasonNotObject},
		{`[1]`, ReasonNotObject},
		{`{"type":"track","userId":"u","event":"` + strings.Repeat("x", MaxEvent) + `"}`, ReasonTooLarge},
		{"{\"type\":\"track\",\"userId\":\"u\",\"event\":\"\xff\"}", ReasonUTF8},
		{"{\"type\":\"track\",\"userId\":\"u\",\"event\":\"a\",\"properties\":{\"\xc3\":1}}", ReasonUTF8},
		{`{"type":"track","userId":"u\u0000","event":"a"}`, ReasonNUL},
		{`{"type":"track","userId":"u","event":"a","properties":{"a\u0000b":1}}`, ReasonNUL},
		{`{"type":"track","userId":"u","event":"a","properties":` + deep + `}`, ReasonDeep},
		{`{"type":"track","userId":"u","event":"a","properties":{"price":1e999}}`, ReasonRange},
		{`{"type":"track","userId":"u","event":"a","properties":{"price":` + strings.Repeat("9", 400) + `}}`, ReasonRange},
		{`{"type":"delete","userId":"u"}`, ReasonType},
		{`{"userId":"u"}`, ReasonType},
		{`{"type":"batch","userId":"u"}`, ReasonType},
		{`{"type":"track","userId":"u"}`, ReasonName},
		{`{"type":"track","userId":"u","event":null}`, ReasonName},
		{`{"type":"track","event":"a"}`, ReasonNoID},
		{`{"type":"track","event":"a","userId":null,"anonymousId":""}`, ReasonNoID},
		{`{"type":"track","event":"a","userId":"undefined","anonymousId":"[object Object]"}`, ReasonNoID},
		{`{"type":"track","event":"a","userId":{"id":1}}`, ReasonNoID},
		{`{"type":"alias","userId":"u"}`, ReasonNoID},
		{`{"type":"alias","previousId":"a"}`, ReasonNoID},
		{`{"type":"track","event":"a","userId":"` + strings.Repeat("u", 257) + `"}`, ReasonBadID},
		{`{"type":"track","event":"a","userId":"a\u0007b"}`, ReasonBadID},
		{`{"type":"track","event":"a","userId":"u","timestamp":"yesterday"}`, ReasonTime},
		{`{"type":"track","event":"a","userId":"u","timestamp":"1969-01-01"}`, ReasonOld},
		{`{"type":"track","event":"a","userId":"u","timestamp":"2020-01-01T00:00:00Z"}`, ReasonOld},
		{`{"type":"track","event":"purchase","userId":"u","properties":{"transaction_id":"t","value":5,"currency":"USD"}}`, ReasonCurrency},
	} {
		body := `{"batch":[` + good + `,` + c.event + `,` + good + `]}`
		got, err := ParseTracking("batch", []byte(body), live())
		if err != nil || len(got.Items) != 3 || got.Items[0].Broken != nil || got.Items[2].Broken != nil {
			t.Errorf("%.100s: neighbours were harmed: %+v, %v", c.event, got.Items, err)
			continue
		}
		b := got.Items[1].Broken
		if b == nil || b.Reason != c.reason || b.Message == string(b.Reason) || len(b.Raw) > brokenPrefix {
			t.Errorf("%.100s: %+v, want %s", c.event, b, c.reason)
		}
	}
}
