package console_test

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/juncture/juncture/experiments"
)

var (
	tags   = regexp.MustCompile(`(?s)<code.*?</code>|<small class="id">.*?</small>|<option.*?>|<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

// readText is what people read of a page: no attributes, and no ids that are shown as such.
func readText(body string) string {
	return spaces.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(body, " ")), " ")
}

// Taste clusters are called by their names, whatever their ids say.
func TestClustersByName(t *testing.T) {
	f := newFake()
	const id, name = "wedding-guests", "Black-tie season"
	for i := range f.Clusters.Items {
		if f.Clusters.Items[i].ID == id {
			f.Clusters.Items[i].Name = name
		}
	}
	for k, ev := range f.Evidence {
		ev.Names = experiments.NamesOf(f.Clusters)
		f.Evidence[k] = ev
	}
	for i := range f.Pool.Actions {
		for j := range f.Pool.Actions[i].Copies {
			for k := range f.Pool.Actions[i].Copies[j].Versions {
				v := &f.Pool.Actions[i].Copies[j].Versions[k]
				v.Body = []byte(strings.Replace(string(v.Body), `"headline"`, `"voice":["wedding-guests"],"headline"`, 1))
			}
		}
	}
	h := serve(t, f)
	key := "v1/first-time.cart-abandoned.researching/wedding-guests/_/_"
	for what, path := range map[string]string{
		"grid":         gridPath + "?experiment=hero&rows=meaning&cols=status",
		"list":         listPath + "?experiment=hero&filter.meaning=wedding-guests",
		"intersection": intersectionPath + "?" + url.Values{"experiment": {"hero"}, "key": {key}}.Encode(),
		"next":         followUpPath + "?experiment=hero&rows=meaning&cols=status",
		"layers":       layersPath,
		"shopper":      shopperPath + "?id=ada",
		"action":       actionURL("five_off"),
		"decision":     decisionPath + "?" + "id=900000",
	} {
		w := get(h, path, "editor")
		text := readText(w.Body.String())
		if w.Code != 200 {
			t.Errorf("%s: %d", what, w.Code)
			continue
		}
		for _, said := range []string{id, "wedding guests", "Wedding guests"} {
			if i := strings.Index(text, said); i >= 0 {
				t.Errorf("%s says an id: …%s…", what, text[max(0, i-60):min(len(text), i+60)])
			}
		}
		if !strings.Contains(text, "lack-tie season") && what != "next" {
			t.Errorf("%s says nothing of the cluster", what)
		}
	}
	if csv := get(h, listPath+".csv?experiment=hero&filter.meaning=wedding-guests", "editor").Body.String(); !strings.Contains(csv, id) || strings.Contains(csv, name) {
		t.Error("a CSV has ids")
	}
	if text := readText(get(h, intersectionPath+"?"+url.Values{"experiment": {"hero"}, "key": {key}}.Encode(), "editor").Body.String()); !strings.Contains(text, "First-time cart abandoners who are researching in black-tie season") {
		t.Errorf("%.400s", text)
	}
}
