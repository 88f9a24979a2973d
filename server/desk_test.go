package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/server"
)

// stored exports what the store keeps.
type stored struct{ node **testkit.Node }

func (x stored) Export(ctx context.Context, id string) (any, error) {
	return (*x.node).DB.ExportShopper(ctx, id, 100)
}

// Products come in, clusters are learnt, renamed and learnt again; a shopper is exported and erased: all over HTTP.
func TestCatalogueClustersAndErasure(t *testing.T) {
	t.Parallel()
	var node *testkit.Node
	s := open(t, testkit.Declaration(func(d *juncture.Declaration) {
		for _, l := range juncture.Layers() {
			d.Layers[l.String()] = juncture.LayerSetting{Source: juncture.SourceDerived}
		}
	}), func(o *server.Options) { o.Exports = stored{&node} })
	node = s.Node
	s.newKey("events", "events")
	ask := func(method, path, key, body string) reply {
		return s.call(method, path, body, http.Header{"Authorization": {"Bearer " + s.keys[key]}})
	}
	into := func(v any) func(reply) {
		return func(r reply) {
			t.Helper()
			if r.status != 200 {
				t.Fatalf("%d: %s", r.status, r.body)
			}
			if err := json.Unmarshal(r.body, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	var feed strings.Builder
	feed.WriteString("id,title,category,price,stock\n")
	for i := range 20 {
		fmt.Fprintf(&feed, "shirt-%d,Linen shirt,shirts,20.50,3\ndress-%d,Silk dress,dresses,90,3\n", i, i)
	}
	feed.WriteString("bad,No price,shirts,cheap,3\n")
	var taken juncture.ProductsTaken
	into(&taken)(ask("PUT", "/api/v1/products", "admin", feed.String()))
	if taken.Taken != 40 || taken.Changed != 40 || len(taken.Refused) != 1 || taken.Refused[0].Line != 42 {
		t.Errorf("products: %+v", taken)
	}
	into(&taken)(ask("PUT", "/api/v1/products", "admin", feed.String()))
	if taken.Changed != 0 {
		t.Errorf("the same again changed %d", taken.Changed)
	}
	var items struct {
		Items []struct{ ID, ErrorCode string }
	}
	into(&items)(ask("PATCH", "/api/v1/products", "admin", `{"items":[{"id":"shirt-1","stock":0},{"id":"gone","stock":1},{"id":"shirt-2","price":-1},{"id":"shirt-1","price":21.5}]}`))
	if p, _ := s.Learned.Index().Get("shirt-1"); len(items.Items) != 4 || items.Items[0].ID != "shirt-1" || items.Items[1].ErrorCode != "NOT_FOUND" || items.Items[2].ErrorCode != "INVALID_REQUEST" || p.Stock != 0 || p.Price != 2150 || p.Title != "Linen shirt" {
		t.Errorf("changes: %+v, %+v", items, p)
	}
	into(&items)(ask("PATCH", "/api/v1/products", "admin", `{"items":[{"id":"shirt-1","stock":3,"price":20.50}]}`))
	if r := ask("PUT", "/api/v1/products", "read", feed.String()); r.status != 403 {
		t.Errorf("products with a key that may only read: %d", r.status)
	}
	if r := ask("POST", "/api/v1/clusters/refit", "admin", ""); r.status != 400 || !strings.Contains(string(r.body), "import products and events") {
		t.Errorf("refit without shoppers: %d %s", r.status, r.body)
	}
	for i := range 60 {
		sort := []string{"shirt", "dress"}[i%2]
		var batch []string
		for j := range 4 {
			batch = append(batch, fmt.Sprintf(`{"type":"track","messageId":"m%d-%d","userId":"s%d","event":"Product Viewed","properties":{"product_id":"%s-%d"}}`, i, j, i, sort, (i+5*j)%20))
		}
		into(&struct{}{})(ask("POST", "/v1/batch", "events", `{"batch":[`+strings.Join(batch, ",")+`]}`))
	}
	if _, err := s.Writer.CheckpointProfiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	var mix juncture.MixView
	into(&mix)(ask("GET", "/api/v1/layers?days=7", "read", ""))
	if w := (juncture.ValueCount{What: "window", Value: "new", Shoppers: 60}); !slices.Contains(mix.Counts, w) || len(mix.Quarantine) != 0 || mix.AsOf.Sub(mix.Since) != 7*24*time.Hour {
		t.Errorf("layers: %+v", mix)
	}
	var fitted juncture.RefitView
	into(&fitted)(ask("POST", "/api/v1/clusters/refit", "admin", ""))
	if fitted.Version != 1 || fitted.Shoppers != 60 || fitted.Clusters < 2 || len(fitted.New) != fitted.Clusters {
		t.Errorf("refit: %+v", fitted)
	}
	var shelf juncture.CatalogueView
	into(&shelf)(ask("GET", "/api/v1/catalogue", "read", ""))
	if shelf.Products != 40 || shelf.Sellable != 40 || len(shelf.Categories) != 2 || shelf.Categories[0].Value != "dresses" || shelf.AsOf != nil {
		t.Errorf("catalogue: %+v", shelf)
	}
	var clusters juncture.ClustersView
	into(&clusters)(ask("GET", "/api/v1/clusters", "read", ""))
	first := clusters.Items[0]
	into(&clusters)(ask("PATCH", "/api/v1/clusters/"+first.ID, "admin", `{"name":"Smart","voice":{"tone":"plain","use":["crisp"],"avoid":[]}}`))
	if c := clusters.Items[0]; c.ID != first.ID || c.Name != "Smart" || !c.Renamed || c.Voice.Tone != "plain" {
		t.Errorf("renamed: %+v", c)
	}
	for _, tt := range []struct {
		id, body string
		status   int
	}{{first.ID, `{"nmae":"x"}`, 400}, {"nobody", `{"name":"x"}`, 404}} {
		if r := ask("PATCH", "/api/v1/clusters/"+tt.id, "admin", tt.body); r.status != tt.status {
			t.Errorf("%s with %s: %d %s", tt.id, tt.body, r.status, r.body)
		}
	}
	into(&clusters)(ask("PATCH", "/api/v1/clusters/"+first.ID, "admin", `{"name":""}`))
	if c := clusters.Items[0]; c.Name != first.Name || c.Renamed || c.Voice.Tone != "plain" {
		t.Errorf("its own name again: %+v, was %+v", c, first)
	}
	var export struct {
		IDs    []string `json:"ids"`
		Events []any    `json:"events"`
	}
	into(&export)(ask("GET", "/api/v1/profiles/s1/export", "admin", ""))
	if len(export.Events) != 4 || len(export.IDs) != 1 {
		t.Errorf("export: %+v", export)
	}
	into(&struct{}{})(s.call("POST", "/v1/track", `{"event":"Page Viewed","messageId":"slash","userId":"gid://shop/1"}`, http.Header{"Authorization": {"Bearer " + s.keys["events"]}}))
	for _, path := range []string{"", "/export"} {
		if r := ask("GET", "/api/v1/profiles/gid:%2F%2Fshop%2F1"+path, "admin", ""); r.status != 200 {
			t.Errorf("a profile whose id has slashes%s: %d %s", path, r.status, r.body)
		}
	}
	var gone juncture.ErasureView
	into(&gone)(ask("DELETE", "/api/v1/profiles/s1", "admin", ""))
	if !gone.Erased || gone.Events != 4 {
		t.Errorf("erased: %+v", gone)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if r := ask(method, "/api/v1/profiles/s1", "admin", ""); r.status != 404 {
			t.Errorf("%s after it: %d %s", method, r.status, r.body)
		}
	}
	actions := map[string]int{}
	for e, err := range s.DB.Audit(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		actions[e.Action]++
		if strings.Contains(string(e.After), `"s1"`) {
			t.Error("the audit log names the shopper who was erased")
		}
	}
	if actions["refit"] != 1 || actions["change"] != 2 || actions["erase"] != 1 {
		t.Errorf("audited: %v", actions)
	}
}
