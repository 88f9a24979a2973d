package console_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/console/preview"
	"github.com/juncture/juncture/experiments/report"
)

const tripped = "pdp-reassurance-for-shoppers-who-hesitate-at-the-size"

// shown is a text as html/template writes it.
func shown(s string) string { return strings.ReplaceAll(template.HTMLEscapeString(s), "+", "&#43;") }

func TestOverview(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	body := get(h, homePath, "good").Body.String()
	hero, err := f.Deps().Trials.Report(t.Context(), "hero", report.Query{})
	if err != nil {
		t.Fatal(err)
	}
	l, ok := hero.Opening()
	if !ok || l.Outcome != "purchase" || l.Measure != report.MeasureRevenue || l.Over != juncture.GroupHoldout {
		t.Fatalf("the canned experiment opens with %+v", l)
	}
	line := console.ViewLift(hero, l)
	// Three run: hero has shown a lift, the two others have too little; the tripped one runs by its status.
	holds(t, body, "3 experiments are running: 1 shown to bring more than its control, 2 not settled yet.", "7 things wait for somebody.", "Stopped by a kill switch: the price was wrong.", "4 versions</a> <bdi>wait for review", `href="/console/reviews"`,
		shown(line.Thousand), shown(line.ThousandRange), "Purchase fell to 1.9%", "Everybody is served the default until it is reset.", `<span class="badge winner">Expand</span>`,
		"No control", "The group bau is 6% smaller", "It is declared and does not run yet", "What all of it brings together", `svg class="chart trend"`, "Day by day", `href="/console/experiments/hero"`)
	if strings.Contains(body, "Since 12 November") {
		t.Error("the health of a paused experiment waits for nobody")
	}
	f.Pool.Actions[2].Warnings = []string{`it is the default of surface "home_hero", and paused`}
	holds(t, get(h, homePath, "good").Body.String(), "8 things wait for somebody.", `>Default</span>`, "It is the default of surface &#34;home_hero&#34;, and paused.", `href="/console/pool/ten_off"`)
	f.Pool.Actions[2].Warnings = nil
	f.Pool.Actions[5].Warnings = []string{"it is the default, and it expires"} // live, for ten days more
	holds(t, get(h, homePath, "good").Body.String(), "7 things wait for somebody.")
	f.Pool.Actions[5].Expires = new(now.Add(6 * 24 * time.Hour))
	holds(t, get(h, homePath, "good").Body.String(), "8 things wait for somebody.")
	f.Pool.Actions[5].Warnings = nil
	for what, change := range map[string]func(){
		"No experiment is running": func() {
			for i := range f.Store.Experiments {
				f.Store.Experiments[i].Status = juncture.StatusPaused
			}
		},
		"Nothing was applied yet": func() { f.Store, f.Trials.Holdouts = console.StoreView{}, nil },
		"No experiment yet":       func() { f.Store = console.StoreView{Name: "New"} },
	} {
		store, holdouts := f.Store, f.Trials.Holdouts
		f.Store.Experiments = slices.Clone(store.Experiments)
		change()
		holds(t, get(h, homePath, "good").Body.String(), what)
		f.Store, f.Trials.Holdouts = store, holdouts
	}
}

func TestExperimentPage(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	hero, err := f.Deps().Trials.Report(t.Context(), "hero", report.Query{})
	if err != nil {
		t.Fatal(err)
	}
	body := get(h, trialsPath+"/hero", "good").Body.String()
	for _, l := range hero.Lifts {
		if l.Over == juncture.GroupHoldout && l.Group == juncture.GroupPolicy {
			line := console.ViewLift(hero, l)
			holds(t, body, shown(line.Relative), shown(line.RelativeRange), shown(line.RelativeFixed), shown(line.Thousand), shown(line.P))
		}
	}
	holds(t, body, shown(hero.Gate.Sentence), "a lift of &#43;30.0% over the page without Juncture", "Healthy", "Rate, unbiased", "the sale began, 0", "user:ada", `href="/console/intersections?experiment=hero"`)
	if strings.Contains(body, trialsPath+"/hero/pause") {
		t.Error("a viewer is offered to pause it")
	}
	// Against bau, of the loyal ones: the report is asked so, and the page says so.
	body = get(h, trialsPath+"/hero?over=bau&filter.lifecycle=loyal&cuped=true", "good").Body.String()
	holds(t, body, "What it brings over business as usual", "Loyal", "Everybody, as they are", `<option value="true" selected>`, `<option value="loyal" selected>`,
		`href="/console/experiments/hero/lifts.csv?cuped=true&amp;filter.lifecycle=loyal&amp;over=bau"`, `href="/console/intersections?experiment=hero&amp;filter.lifecycle=loyal"`)
	if q := f.Trials.Asked[len(f.Trials.Asked)-1]; !q.Cuped || q.Slice["lifecycle"] != "loyal" {
		t.Errorf("asked %+v", q)
	}
	holds(t, get(h, trialsPath+"/"+tripped, "approver").Body.String(), "A guard has tripped: <bdi>Purchase fell", trialsPath+"/"+tripped+"/reset", ">Pause</a>", ">Stop</a>")
	holds(t, get(h, trialsPath+"/last-season", "admin").Body.String(), "Five off is the surface&#39;s default since 17 November 2026", ">Roll back</a>")
	if body := get(h, trialsPath+"/last-season", "approver").Body.String(); strings.Contains(body, "Roll back") {
		t.Error("an approver is offered to roll back")
	}
}

func TestVerbs(t *testing.T) {
	for verb, at := range map[juncture.Verb]string{juncture.VerbStart: "next-season", juncture.VerbPause: "hero", juncture.VerbResume: "cart-rescue", juncture.VerbStop: "hero", juncture.VerbShip: "hero",
		juncture.VerbRollback: "last-season", juncture.VerbReset: tripped} {
		t.Run(string(verb), func(t *testing.T) {
			f := newFake()
			h := serve(t, f)
			path := trialURL(at, "/"+string(verb))
			form := url.Values{"reason": {" a sale begins "}, "arm": {"five_off/milan"}}
			for _, token := range []string{"good", "editor", "approver", "admin", "none"} {
				f.Trials.Did = nil
				w, may := as(h, token, path, form), preview.People()[token].Role.AtLeast(console.LeastRole(verb))
				if (len(f.Trials.Did) == 1) != may || !may && w.Code != 403 || may && w.Header().Get("Location") != trialURL(at, "")+"?done="+string(verb) {
					t.Errorf("%s: %d to %s, did %v", token, w.Code, w.Header().Get("Location"), f.Trials.Did)
				}
				if may {
					want := fmt.Sprintf("user:%s %s %s {Reason:a sale begins Action: Copy:}", preview.People()[token].Name, verb, at)
					if verb == juncture.VerbShip {
						want = strings.Replace(want, "Action: Copy:", "Action:five_off Copy:milan", 1)
					}
					if f.Trials.Did[0] != want {
						t.Errorf("did %s, want %s", f.Trials.Did[0], want)
					}
					holds(t, get(h, path, token).Body.String(), "Leave it as it is", console.VerbTitles[verb]+"?")
					holds(t, get(h, w.Header().Get("Location"), token).Body.String(), shown(console.VerbDone[verb]))
				}
				if offered := strings.Contains(get(h, trialURL(at, ""), token).Body.String(), `href="`+path+`"`); offered != may {
					t.Errorf("offered to %s: %v", token, offered)
				}
			}
			f.Trials.Did = nil
			w := post(h, path, form, func(r *http.Request) {
				r.Header.Set("Sec-Fetch-Site", "cross-site")
				r.AddCookie(&http.Cookie{Name: plainCookie, Value: "admin"})
			})
			if w.Code != 403 || post(h, path, form, nil).Code != 303 || len(f.Trials.Did) > 0 {
				t.Errorf("from elsewhere: %d, did %v", w.Code, f.Trials.Did)
			}
			if w := as(h, "admin", path, url.Values{"reason": {"  "}, "arm": {"five_off"}}); w.Code != 400 || !strings.Contains(w.Body.String(), `id="p-reason"`) || len(f.Trials.Did) > 0 {
				t.Errorf("without a reason: %d", w.Code)
			}
		})
	}
	f := newFake()
	h := serve(t, f)
	ship := trialsPath + "/hero/ship"
	if w := as(h, "admin", ship, url.Values{"reason": {"x"}}); w.Code != 400 || !strings.Contains(w.Body.String(), `id="p-arm"`) || len(f.Trials.Did) > 0 {
		t.Errorf("ship without an action: %d", w.Code)
	}
	body := get(h, ship, "admin").Body.String()
	holds(t, body, `<option value="five_off">Five off, its first copy for everybody`, `<option value="five_off/milan">Five off, copy milan`)
	if strings.Contains(body, "ten_off") { // no longer live
		t.Error("offers what may not be shown")
	}
	for _, tt := range []struct {
		err    error
		status int
		says   string
	}{
		{juncture.Errorf(juncture.CodeDecisionConflict, "experiment <hero> is paused: it cannot ship").WithHint("it can resume"), 409, "Nothing was done: Experiment &lt;hero&gt; is paused: it cannot ship. It can resume."},
		{juncture.Errorf(juncture.CodeUnprocessable, "copy is written for some").WithField("copy"), 422, `id="p-arm" role="alert">Copy is written for some.`},
		{juncture.Errorf(juncture.CodeNotFound, "gone"), 404, "gone"},
		{errors.New("secret"), 500, "went wrong"},
	} {
		f.Trials.ChangeErr = tt.err
		w := as(h, "admin", ship, url.Values{"reason": {"it won"}, "arm": {"five_off/milan"}})
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %d %s", tt.err, w.Code, w.Body)
		}
		if tt.status == 409 {
			holds(t, w.Body.String(), ">it won</textarea>", `<option value="five_off/milan" selected>`)
		}
	}
}

func TestTrialCSV(t *testing.T) {
	f := newFake()
	f.Trials.History[0].Actor = "=HYPERLINK(1)"
	h := serve(t, f)
	hero, err := f.Deps().Trials.Report(t.Context(), "hero", report.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for path, tt := range map[string]struct {
		rows            int
		head, file, has string
	}{
		trialsPath + ".csv":                                    {7, "id,kind,surface,state", "experiments", "programme,holdout,"}, // 6 experiments and a holdout
		trialsPath + "/hero/groups.csv":                        {4 * 2, "group,share", "hero-groups", "holdout,0.16"},             // 4 groups, 2 outcomes
		trialsPath + "/hero/lifts.csv":                         {len(hero.Lifts), "outcome,measure", "hero-lifts", "purchase,revenue,policy,holdout,true"},
		trialsPath + "/hero/days.csv":                          {len(hero.Days), "day,policy", "hero-days", "2026-11-20,"},
		trialsPath + "/hero/arms.csv":                          {2 * 5, "action,action_version", "hero-arms", "five_off,1,milan,1,random"}, // 5 arms, 2 groups
		trialsPath + "/hero/history.csv":                       {5, "seq,at,actor", "hero-history", "'=HYPERLINK(1)"},
		trialsPath + "/hero/layers.csv":                        {4, "tier,asks", "hero-layers", "moment,reach and relevance"}, // one measure for each of 4 tiers
		trialsPath + "/hero/lifts.csv?filter.lifecycle=nobody": {0, "outcome,measure", "hero-lifts", ""},
	} {
		w := get(h, path, "good")
		text := w.Body.String()
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || w.Code != 200 || len(rows) != tt.rows+1 || !strings.HasPrefix(text, tt.head) || !strings.Contains(text, tt.has) || w.Header().Get("Content-Disposition") != `attachment; filename="`+tt.file+`.csv"` {
			t.Errorf("%s: %d, %d rows, %v, %s\n%.2000s", path, w.Code, len(rows)-1, err, w.Header().Get("Content-Disposition"), text)
		}
		if get(h, path, "").Code != 303 {
			t.Errorf("%s is open", path)
		}
	}
}

func TestWhatIf(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	path := trialsPath + "/hero/what-if"
	holds(t, get(h, path, "good").Body.String(), "What would click have come to under another policy?", `name="only" value="five_off"`, "Ten off (no longer shown)")
	if len(f.Trials.Questions) > 0 {
		t.Errorf("looking asks %v", f.Trials.Questions)
	}
	// −1.2 of 1,000 against the policy as it ran; the interval at any time is one and a half times 0.6 wide to each side: −2.1 to −0.3.
	body := get(h, path+"?ask=policies&only=points&only=five_off&only=&ceiling=moment&from=2026-11-01&to=2026-11-10", "good").Body.String()
	holds(t, body, "“Only five_off, points” would have brought −1.20 of 1,000 decisions against the policy as it ran, between −2.10 and −0.30; it is less, over 48,211 decisions.",
		"31,877", "Refused</span> The effective sample is 12 of 48,211 decisions.", "from the group random alone; in the end five_off@1/plain@1", "Nothing of it was eligible at 12 decisions, left out.", "One decision in 100",
		"811 whose reward window was not over; 12,182 of the groups bau and holdout", `value="points" checked`, `<option value="moment" selected>`, `value="2026-11-10"`, `svg class="chart intervals"`)
	q := f.Trials.Questions[0]
	if !slices.Equal(q.Only, []string{"five_off", "points"}) || q.Ceiling != "moment" || q.From.Format("2006-01-02") != "2026-11-01" || q.To.Format("2006-01-02") != "2026-11-10" || q.Experiment != "hero" {
		t.Errorf("asked %+v", q)
	}
	holds(t, get(h, path+"?ask=worth", "good").Body.String(), "Personalising earns more than showing everybody", "The layer moment was looked at.", "Cannot be said", "Not shown yet")
	asked := len(f.Trials.Questions)
	for _, bad := range []string{"?ask=nothing", "?ask=policies&from=1", "?ask=worth&from=2026-11-10&to=2026-11-10"} {
		if w := get(h, path+bad, "good"); w.Code != 400 || !strings.Contains(w.Body.String(), `role="alert"`) || get(h, path+".csv"+bad, "good").Code != 400 || len(f.Trials.Questions) != asked {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	if w := get(h, path+".csv", "good"); w.Code != 400 {
		t.Errorf("a CSV of no question: %d", w.Code)
	}
	rows, err := csv.NewReader(get(h, path+".csv?ask=worth", "good").Body).ReadAll()
	if err != nil || len(rows) != 1+2+5+1+4 { // groups, policies, no harm, tiers
		t.Errorf("%d rows, %v", len(rows), err)
	}
	for _, tt := range []struct {
		err    error
		status int
		says   string
	}{
		{&juncture.Error{Code: juncture.CodeUnavailable, Message: "goes on", RetryAfter: 5e9}, 202, "The log is being read: try again in a moment."},
		{&juncture.Error{Code: juncture.CodeTooManyRequests, Message: "another"}, 202, "Another question is being answered"},
		{juncture.Errorf(juncture.CodeInvalidRequest, "no action is called <x>").WithHint("there were: a"), 400, "No action is called &lt;x&gt;. There were: a."},
		{errors.New("secret"), 500, "went wrong"},
	} {
		f.Trials.WhatErr = tt.err
		w := get(h, path+"?ask=policies&only=points", "good")
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %d %s", tt.err, w.Code, w.Body)
		}
		if tt.status == 202 && (w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `href="/console/experiments/hero/what-if?ask=policies&amp;only=points"`)) {
			t.Errorf("%v: no way to try again", tt.err)
		}
	}
	if w := get(h, trialsPath+"/programme/what-if", "good"); w.Code != 404 {
		t.Errorf("of a holdout: %d", w.Code)
	}
}

// TestConsoleWithoutTrials serves a console without the port: the grid is the first page.
func TestConsoleWithoutTrials(t *testing.T) {
	f := newFake()
	d := f.Deps()
	r := mount(t, console.Deps{Source: d.Source, Sessions: d.Sessions, Log: d.Log})
	body := get(r, homePath, "good").Body.String()
	holds(t, body, "What wins where")
	if strings.Contains(body, "Experiments</a>") || get(r, trialsPath, "good").Code != 404 {
		t.Error("offers experiments")
	}
}

func TestCatalogueCSV(t *testing.T) {
	f := newFake()
	f.Trials.Catalogue.Priorities[0].Owner = "=HYPERLINK(1)"
	h := serve(t, f)
	for path, tt := range map[string]struct {
		rows            int
		head, file, has string
	}{
		"/products.csv":             {120, "id,title,category", "products", "dress-000,Linen dress 0,dresses,Kett,49.95,80,GBP,'-1,true"},
		"/products.csv?hidden=true": {8, "id,title,category", "products", "dress-105,"}, // 0, 15, ... 105
		"/trending.csv":             {30, "id,title,category", "trending", "wanted by many"},
		"/cross-sells.csv":          {80, "product,with,lift", "cross-sells", "dress-000,shoes-0,9.4,61.7"},
		"/priorities.csv":           {2, "id,owner,why", "priorities", "new-drop,'=HYPERLINK(1)"},
		"/editorial.csv":            {2, "id,title,url", "editorial", "wedding-guests,2026-11-29T08:30:00Z"},
	} {
		w := get(h, cataloguePath+path, "good")
		text := w.Body.String()
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || w.Code != 200 || len(rows) != tt.rows+1 || !strings.HasPrefix(text, tt.head) || !strings.Contains(text, tt.has) || w.Header().Get("Content-Disposition") != `attachment; filename="`+tt.file+`.csv"` {
			t.Errorf("%s: %d, %d rows, %v\n%.1000s", path, w.Code, len(rows)-1, err, text)
		}
		if get(h, cataloguePath+path, "").Code != 303 {
			t.Errorf("%s is open", path)
		}
	}
	f.Trials.Catalogue, f.Trials.Products = juncture.CatalogueView{}, nil
	holds(t, get(h, cataloguePath, "good").Body.String(), "No product is known yet", "juncture import products FILE", "None is live", "None. Declare")
}
