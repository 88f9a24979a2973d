package console_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestShopperRecords(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	body := get(h, shopperPath+"?id=ada", "good").Body.String()
	holds(t, body, `<span class="badge winner">Granted</span>`, `<span class="badge thin">Unknown</span>`, "21 Sep 2026, 08:30:00 UTC", "An administrator can export everything",
		"Status: browsing to cart abandoned", "Left a filled cart 61 minutes ago", "Lifecycle: prospect to first-time", "The last 24 events and movements",
		"Drawn by the policy", "Drawn by the policy, kept from earlier in the visit", "Drawn by lot", "Held out: the page without Juncture", "Business as usual",
		"<dd>0.16666666666666666</dd>", "<code>five_off@1/milan@1</code>", "<code>HOLDOUT</code>", "<code>AQEAbgAAAZqh70000kT3x0pQ</code>")
	if strings.Contains(body, recordsPath) {
		t.Error("a viewer is led to what an administrator may")
	}
	moved, did := strings.Index(body, "Status: browsing to cart abandoned"), strings.Index(body, "Kiosk Touched") // at one time
	if first := strings.Index(body, "Mode: unknown to researching"); moved > did || first < did || first > strings.Index(body, "Lifecycle: prospect") {
		t.Error("the timeline is out of order")
	}
	holds(t, get(h, shopperPath+"?id=ada", "admin").Body.String(), `href="/console/shoppers/ada/export" download`, `href="/console/shoppers/ada/erase"`)

	only := get(h, shopperPath+"?id=ada&show=movements", "good").Body.String()
	holds(t, only, "The last 3 movements", `aria-current="true">Movements`, "/console/shopper/timeline.csv?id=ada&amp;show=movements")
	if strings.Contains(only, "Kiosk Touched") {
		t.Error("movements alone have events")
	}
	if body := get(h, shopperPath+"?id=ada&show=events", "good").Body.String(); strings.Contains(body, "Status: browsing to") || !strings.Contains(body, "Kiosk Touched") {
		t.Error("events alone have movements")
	}

	// Of somebody who denied consent there is nothing else to show.
	holds(t, get(h, shopperPath+"?id=denier", "admin").Body.String(), "Nothing was observed of", `<span class="badge denied">Denied</span>`, "nothing more of them is kept", recordsPath+"denier/erase")
	if strings.Contains(get(h, shopperPath+"?id=nobody", "admin").Body.String(), recordsPath) {
		t.Error("offers to erase nobody")
	}
	f.Moves, f.Consent, f.Clusters.Items[0].Name = nil, nil, "Best guests"
	holds(t, get(h, shopperPath+"?id=ada", "good").Body.String(), "Best guests")
	holds(t, get(h, shopperPath+"?id=ada&show=movements", "good").Body.String(), "Their moment has not changed", "Nothing was said.")
}

func TestExport(t *testing.T) {
	f := newFake()
	f.Shoppers["a/b c?ü"] = f.Shoppers["ada"]
	h := serve(t, f)
	for id, file := range map[string]string{"ada": "shopper-ada.json", "a/b c?ü": "shopper-a-b-c--.json"} {
		w := get(h, recordURL(id, exportPart), "admin")
		var got struct{ Shopper string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || got.Shopper != id {
			t.Errorf("%q: %d %v %s", id, w.Code, err, w.Body)
		}
		if d := w.Header().Get("Content-Disposition"); d != `attachment; filename="`+file+`"` || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%q: %v", id, w.Header())
		}
	}
	for path, want := range map[string]int{recordURL("nobody", exportPart): 404, recordsPath + "ada": 404, recordsPath + "ada/": 404, recordsPath + "/export": 404, recordsPath + "%00/export": 404,
		recordURL("ada", "/merge"): 404} {
		if w := get(h, path, "admin"); w.Code != want || w.Header().Get("Content-Disposition") != "" {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	for _, token := range []string{"good", "editor", "approver"} {
		if w := get(h, recordURL("ada", exportPart), token); w.Code != 403 || strings.Contains(w.Body.String(), "events") {
			t.Errorf("as %s: %d", token, w.Code)
		}
		if w := get(h, recordURL("ada", erasePart), token); w.Code != 403 || strings.Contains(w.Body.String(), "confirm") {
			t.Errorf("as %s: %d", token, w.Code)
		}
	}
	if w := as(h, "admin", recordURL("ada", exportPart), url.Values{"confirm": {"ada"}}); w.Code != 405 || len(f.Erased) > 0 {
		t.Errorf("sent there: %d, %v", w.Code, f.Erased)
	}
}

func TestErase(t *testing.T) {
	f := newFake()
	f.Shoppers["a/b"] = f.Shoppers["ada"]
	h := serve(t, f)
	holds(t, get(h, recordURL("ada", erasePart), "admin").Body.String(), "Erase this shopper?", `name="confirm"`, "Nobody can undo it", recordURL("ada", exportPart))
	for _, typed := range []string{"", "Ada", "ada ada", "yes", "\xff", strings.Repeat("a", 2000)} {
		w := as(h, "admin", recordURL("ada", erasePart), url.Values{"confirm": {typed}})
		if w.Code != 400 || len(f.Erased) > 0 || !strings.Contains(w.Body.String(), "so nothing was deleted") || !strings.Contains(w.Body.String(), `aria-invalid="true"`) {
			t.Errorf("%.20q: %d, %v", typed, w.Code, f.Erased)
		}
	}
	if w := as(h, "admin", recordURL("ada", erasePart), nil); w.Code != 400 || len(f.Erased) > 0 {
		t.Errorf("nothing typed: %d", w.Code)
	}
	w := as(h, "admin", recordURL("ada", erasePart), url.Values{"confirm": {" ada "}})
	holds(t, w.Body.String(), "<h1>Erased</h1>", "<dd>2</dd>", "<dd>1,204</dd>", "<dd>30</dd>")
	if w := as(h, "admin", recordURL("a/b", erasePart), url.Values{"confirm": {"a/b"}}); w.Code != 200 || !slices.Equal(f.Erased, []string{"user:root ada", "user:root a/b"}) {
		t.Errorf("%d, %v", w.Code, f.Erased)
	}
	if w := as(h, "admin", recordURL("nobody", erasePart), url.Values{"confirm": {"nobody"}}); w.Code != 404 || !strings.Contains(w.Body.String(), "nothing to delete") {
		t.Errorf("nobody: %d", w.Code)
	}
	f.Err = errors.New("secret")
	if w := as(h, "admin", recordURL("ada", erasePart), url.Values{"confirm": {"ada"}}); w.Code != 500 || strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "Erased") {
		t.Errorf("broken: %d", w.Code)
	}
}

func TestShopperCSV(t *testing.T) {
	f := newFake()
	f.Moves[0].Reason = "=1+1"
	h := serve(t, f)
	for path, tt := range map[string]struct {
		rows int
		has  string
	}{
		shopperPath + "/timeline.csv?id=ada":                {24, "movement,Status: browsing to cart abandoned,,,,'=1+1"},
		shopperPath + "/timeline.csv?id=ada&show=movements": {3, "2026-10-10T08:30:00Z,movement,Lifecycle: prospect to first-time,,,,One order"},
		shopperPath + "/timeline.csv?id=ada&show=events":    {21, "event,Searched for “linen dress”"},
		shopperPath + "/decisions.csv?id=ada":               {30, "v1/loyal.browsing.researching/wedding-guests/_/_,policy,welcome@1/plain@1,Welcome back,0.8712,SPLIT,"},
	} {
		w := get(h, path, "good")
		text := w.Body.String()
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || w.Code != 200 || len(rows) != tt.rows+1 || !strings.Contains(text, tt.has) {
			t.Errorf("%s: %d, %d rows, %v\n%.900s", path, w.Code, len(rows)-1, err, text)
		}
	}
	for _, path := range []string{"/timeline.csv", "/timeline.csv?id=nobody", "/timeline.csv?id=%00", "/decisions.csv", "/decisions.csv?id=%00"} {
		if w := get(h, shopperPath+path, "good"); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
