package console_test

import (
	"encoding/csv"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console"
)

// as sends a form as a person with a session.
func as(h http.Handler, token, path string, form url.Values) *httptest.ResponseRecorder {
	return post(h, path, form, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: plainCookie, Value: token}) })
}

func TestLayersMix(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	w := get(h, layersPath, "good")
	body := w.Body.String()
	holds(t, body, "24,734 shoppers as they stand now", "<title>Browsing: 10,514 · 43%</title>", "VIP (by value)", "None in particular", "Hesitating on a product page",
		"Quiet luxury: 3,407", "7 more, each with fewer", "<title>Unknown: 7,007", // categories
		"Freshly converted", "No order for 96 days; usually every 30", "902", `aria-current="true">30 days`, `href="/console/layers?days=90#moves"`,
		"occasion wear, dresses, silk, £80 to £160", ">renamed</span>", "<b>Avoid:</b> cheap, must-have", "Show all 24", "An editor can rename clusters")
	for _, not := range []string{"Learn again", ">Edit<", `<form class="learn"`, "juncture import products"} {
		if strings.Contains(body, not) {
			t.Errorf("a viewer is offered %q", not)
		}
	}
	css, err := console.Files.ReadFile("static/console.css")
	if size := len(body) + len(console.Zip(css)); err != nil || size > 60_000 {
		t.Errorf("the page and its style have %d bytes", size)
	}
	if got := now.Sub(f.Since).Hours() / 24; got != 30 {
		t.Errorf("movements since %v days ago", got)
	}
	if body := get(h, layersPath+"?days=7&experiment=hero", "good").Body.String(); now.Sub(f.Since).Hours() != 7*24 ||
		!strings.Contains(body, `name="days" value="7"`) || !strings.Contains(body, `/console/layers?experiment=hero#moves"`) {
		t.Errorf("movements since %v", f.Since)
	}
	if w := get(h, layersPath+"?days=8", "good"); w.Code != 400 {
		t.Errorf("8 days: %d", w.Code)
	}
	if all := get(h, layersPath+"?clusters=all", "admin").Body.String(); strings.Count(all, ">Edit</a>") != 24 || strings.Contains(all, "Show all") || !strings.Contains(all, "Learn again") {
		t.Error("not all clusters, or no way to change them")
	}
	if body := get(h, layersPath, "editor").Body.String(); !strings.Contains(body, ">Edit</a>") || strings.Contains(body, "Learn again") {
		t.Error("an editor edits, and does not learn again")
	}

	f.Counts, f.Passed, f.Clusters, f.Store.Layers = nil, nil, juncture.ClustersView{}, nil
	holds(t, get(h, layersPath, "good").Body.String(), "None has been learnt yet", "juncture import products FILE", "an administrator's button here", "Nobody moved in the last 30 days")
	holds(t, get(h, layersPath, "admin").Body.String(), ">Learn now</button>")
}

func TestCluster(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	path := clusterPath + "wedding-guests"
	form := func(name, tone, use, avoid string) url.Values {
		return url.Values{"name": {name}, "tone": {tone}, "use": {use}, "avoid": {avoid}}
	}
	body := get(h, path, "good").Body.String()
	holds(t, body, "<h1><bdi>Wedding guests</bdi></h1>", "effortless, all day", "An editor can change")
	if strings.Contains(body, "<textarea") || strings.Count(body, "<form") != 1 { // the one that signs out
		t.Error("a viewer has a form")
	}
	holds(t, get(h, path, "editor").Body.String(), `action="/console/layers/clusters/wedding-guests"`, `value="Wedding guests"`, "effortless\nall day</textarea>")

	tone := f.Clusters.Items[0].Voice.Tone
	for name, tt := range map[string]struct {
		form    url.Values
		err     error
		status  int
		says    string
		changed string
	}{
		"as it is":    {form("Wedding guests", tone, "effortless\r\nall day\r\n", "cheap\nmust-have"), nil, 303, "", ""},
		"renamed":     {form(" Guests ", tone, "effortless\nall day", "cheap\nmust-have"), nil, 303, "", "user:ed wedding-guests Guests."},
		"voice":       {form("Wedding guests", "Calm", "soft, airy\n\nsoft, airy", ""), nil, 303, "", "user:ed wedding-guests  {Tone:Calm Use:[soft, airy] Avoid:[]}"},
		"no name":     {form(" ", tone, "effortless\nall day", "cheap\nmust-have"), nil, 303, "", "user:ed wedding-guests ."},
		"taken":       {form("QUIET LUXURY", "", "", ""), nil, 400, `id="p-name">Another cluster has this name`, ""},
		"long":        {form(strings.Repeat("a", 81), strings.Repeat("b", 501), strings.Repeat("c\n", 3)+strings.Repeat("d", 81), ""), nil, 400, `id="p-use">A word or phrase has at most`, ""},
		"long tone":   {form("Guests", strings.Repeat("b", 501), "", ""), nil, 400, `id="p-tone">A tone has at most`, ""},
		"contradicts": {form("Guests", "", "Silk", "silk"), nil, 400, `id="p-avoid">“Silk” is also a word to use`, ""},
		"not text":    {form("\xff", "", "", ""), nil, 400, `id="p-name">This is not text`, ""},
		"refused":     {form("Guests", tone, "effortless\nall day", "cheap\nmust-have"), juncture.Errorf(juncture.CodeInvalidRequest, "no such <name>"), 400, `id="p-name">No such &lt;name&gt;.`, "user:ed wedding-guests Guests."},
		"voice bad":   {form("Guests", "x", "", ""), juncture.Errorf(juncture.CodeInvalidRequest, "too much").WithField("voice.tone"), 400, `id="p-tone">Too much.`, "user:ed wedding-guests Guests. {Tone:x Use:[] Avoid:[]}"},
		"broken":      {form("Guests", "x", "", ""), errors.New("secret"), 500, "went wrong", "user:ed wedding-guests Guests. {Tone:x Use:[] Avoid:[]}"},
		"too large":   {form(strings.Repeat("a", console.MaxForm), "", "", ""), nil, 400, "could not be read", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f.Changed, f.ChangeErr = nil, tt.err
			w := as(h, "editor", path, tt.form)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || strings.Contains(w.Body.String(), "secret") || strings.Join(f.Changed, ";") != tt.changed {
				t.Errorf("%d, changed %q\n%s", w.Code, f.Changed, w.Body)
			}
			if tt.status == 303 && w.Header().Get("Location") != layersPath+"?saved=wedding-guests#clusters" {
				t.Errorf("leads to %s", w.Header().Get("Location"))
			}
			if tt.status == 400 && tt.err == nil && name != "too large" && !strings.Contains(w.Body.String(), `aria-invalid="true"`) {
				t.Error("the field is not marked")
			}
		})
	}
	f.Changed, f.ChangeErr = nil, nil
	last := f.Clusters.Items[23]
	if w := as(h, "editor", clusterURL(last.ID), form("Other", "", "", "")); w.Header().Get("Location") != layersPath+"?clusters=all&saved="+last.ID+"#clusters" {
		t.Errorf("leads to %s", w.Header().Get("Location"))
	}
	holds(t, get(h, layersPath+"?saved=wedding-guests", "editor").Body.String(), "“Wedding guests” is saved")
	if strings.Contains(get(h, layersPath+"?saved=nothing", "editor").Body.String(), "is saved") {
		t.Error("says that nothing is saved")
	}
	for _, path := range []string{clusterPath + "gone", clusterPath + "%ff"} {
		if get(h, path, "editor").Code != 404 || as(h, "editor", path, form("a", "", "", "")).Code != 404 {
			t.Errorf("%s is there", path)
		}
	}
}

func TestRefit(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	w := as(h, "admin", refitPath, nil)
	holds(t, w.Body.String(), "24 taste clusters from 21,533 shoppers", "812 of 21,480 (4%)", "<dd>22</dd>", "<dd>2</dd>", "<dd>1</dd>", `href="/console/layers/clusters/c-7f3a">Denim`, "c-new", "c-old")
	if w.Code != 200 || !slices.Equal(f.Changed, []string{"user:root refit"}) {
		t.Errorf("%d, %v", w.Code, f.Changed)
	}
	if w := get(h, refitPath, "admin"); w.Code != 303 || w.Header().Get("Location") != layersPath+"#clusters" {
		t.Errorf("looked at: %d", w.Code)
	}
	f.Refit = juncture.RefitView{Version: 1}
	holds(t, as(h, "admin", refitPath, nil).Body.String(), "0 taste clusters from 0 shoppers", "nobody had a cluster")
	f.RefitErr = juncture.Errorf(juncture.CodeInvalidRequest, "12 shoppers with a taste: clusters need 50").WithHint("import products first")
	if w := as(h, "admin", refitPath, nil); w.Code != 400 || !strings.Contains(w.Body.String(), `id="learn-problem" role="alert">Nothing was learnt: 12 shoppers with a taste: clusters need 50. Import products first.`) {
		t.Errorf("too few: %d %s", w.Code, w.Body)
	}
	f.RefitErr = errors.New("secret")
	if w := as(h, "admin", refitPath, nil); w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("broken: %d", w.Code)
	}
}

// TestWritesAreGuarded sends every form as people who may not, from another site, and without a session.
func TestWritesAreGuarded(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	for path, allowed := range map[string][]string{clusterPath + "wedding-guests": {"editor", "approver", "admin"}, refitPath: {"admin"}, recordsPath + "ada/erase": {"admin"}} {
		form := url.Values{"name": {"New"}, "confirm": {"ada"}}
		for _, token := range []string{"good", "editor", "approver", "admin", "none"} {
			f.Changed, f.Erased = nil, nil
			w := as(h, token, path, form)
			may := slices.Contains(allowed, token)
			if did := len(f.Changed)+len(f.Erased) > 0; did != may || !may && w.Code != 403 {
				t.Errorf("%s as %s: %d, done: %v", path, token, w.Code, did)
			}
			if !may && (strings.Contains(w.Body.String(), "<form class=\"stack\"") || !strings.Contains(w.Body.String(), "Nothing was done")) {
				t.Errorf("%s as %s: %s", path, token, w.Body)
			}
		}
		f.Changed, f.Erased = nil, nil
		for what, change := range map[string]func(*http.Request){
			"another site":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			"another origin": func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		} {
			w := post(h, path, form, func(r *http.Request) {
				change(r)
				r.AddCookie(&http.Cookie{Name: plainCookie, Value: "admin"})
			})
			if w.Code != 403 || len(f.Changed)+len(f.Erased) > 0 {
				t.Errorf("%s from %s: %d", path, what, w.Code)
			}
		}
		if w := post(h, path, form, nil); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), signInPath) || len(f.Changed)+len(f.Erased) > 0 {
			t.Errorf("%s without a session: %d", path, w.Code)
		}
	}
}

func TestTastesCSV(t *testing.T) {
	f := newFake()
	f.Clusters.Items[0].Name, f.Passed[0].Reason = "=HYPERLINK(1)", "@SUM(1)"
	h := serve(t, f)
	for path, tt := range map[string]struct {
		rows       int
		head, file string
		has        string
	}{
		layersPath + "/mix.csv?experiment=hero": {4 + 6 + 3 + 4 + 25 + 5 + 5 + 3 + 27, "axis,value,title,shoppers,decisions", "layers", "status,at-risk,At risk,2155,9892"},
		layersPath + "/mix.csv?layer=moment":    {4 + 6 + 3 + 4, "axis,value", "layers-moment", "window,vip,VIP (by value),212,0"},
		layersPath + "/mix.csv?layer=nothing":   {0, "axis,value", "layers", ""},
		layersPath + "/moves.csv?days=90":       {9, "axis,from,to,shoppers,latest_reason", "moves-90-days", "status,browsing,at-risk,214,'@SUM(1)"},
		layersPath + "/clusters.csv":            {24, "id,name,renamed", "taste-clusters", "wedding-guests,'=HYPERLINK(1),no,4120"},
		layersPath + "/quarantine.csv":          {2, "reason,events,latest,message", "quarantine", "no_id,1204,2026-11-20T07:30:00Z"},
	} {
		w := get(h, path, "good")
		text := w.Body.String()
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || w.Code != 200 || len(rows) != tt.rows+1 || !strings.HasPrefix(text, tt.head) || !strings.Contains(text, tt.has) ||
			w.Header().Get("Content-Disposition") != `attachment; filename="`+tt.file+`.csv"` {
			t.Errorf("%s: %d, %d rows, %v, %s\n%s", path, w.Code, len(rows)-1, err, w.Header().Get("Content-Disposition"), text)
		}
		if get(h, path, "").Code != 303 {
			t.Errorf("%s is open", path)
		}
	}
	if w := get(h, layersPath+"/moves.csv?days=1", "good"); w.Code != 400 {
		t.Errorf("1 day: %d", w.Code)
	}
}

// TestConsoleWithoutTastes serves a console whose store tells nothing of shoppers as a whole, and keeps no records.
func TestConsoleWithoutTastes(t *testing.T) {
	f := newFake()
	d := f.Deps()
	r := mount(t, console.Deps{Source: d.Source, Sessions: d.Sessions, Shoppers: d.Shoppers, Log: d.Log})
	for _, path := range []string{refitPath, clusterPath + "wedding-guests", layersPath + "/moves.csv", recordsPath + "ada/erase", recordsPath + "ada/export"} {
		if w := get(r, path, "admin"); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	for path, has := range map[string]string{layersPath: "Checkout abandoned", shopperPath + "?id=ada": "consent granted", layersPath + "/mix.csv": "prospect"} {
		body := get(r, path, "admin").Body.String()
		holds(t, body, has)
		for _, not := range []string{"Taste clusters", "How shoppers moved", "Movements", "Erase"} {
			if strings.Contains(body, not) {
				t.Errorf("%s offers %s", path, not)
			}
		}
	}
}
