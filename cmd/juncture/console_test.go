package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/client"
)

// TestConsoleShowsShoppers sends events and a call as a shop does, and reads them in the console as a person does.
func TestConsoleShowsShoppers(t *testing.T) {
	p := serve(t)
	file := strings.NewReplacer("layers:\n", "layers:\n  moment: {source: derived}\n  trajectory: {source: derived}\n",
		"  moment: {source: request}\n", "", "  trajectory: {source: request}\n", "", "status: running}", "attribution: linear, status: running}").Replace(httpStore)
	p.apply(file)
	secret, _ := p.key("choose,reward,events")
	base := "http://" + p.addr

	left := time.Now().UTC().Add(-84 * time.Minute)
	item := func(i int, ids, name, properties string) string {
		return fmt.Sprintf(`{"type":"track","messageId":"m%d",%s,"event":%q,"timestamp":%q,"properties":{%s}}`, i, ids, name,
			left.Add(time.Duration(i-9)*time.Minute).Format(time.RFC3339), properties)
	}
	both := `"anonymousId":"a1","userId":"ada"`
	batch := `{"batch":[` + strings.Join([]string{
		item(1, `"anonymousId":"a1"`, "Product Viewed", `"product_id":"dress-1","category":"Dresses","price":49.95`),
		item(2, both, "Order Completed", `"order_id":"o1","total":129.5,"currency":"GBP","products":[{"product_id":"dress-1","quantity":2,"price":49.95}]`),
		item(9, both, "Product Added", `"product_id":"<script>alert(1)</script>","category":"<b>Shoes</b>","price":80`),
		`{"type":"track","messageId":"m4","event":"Product Viewed","properties":{}}`}, ",") + `]}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/batch", strings.NewReader(batch))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(secret, "")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %+v", err, resp)
	}
	resp.Body.Close()
	c := client.New(base, secret, client.Options{Retries: -1, Timeout: 20 * time.Second})
	a, err := c.Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reward(t.Context(), &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "purchase", OutcomeID: "c", Value: new(42.5), Currency: "GBP"}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "bea"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Reward(t.Context(), &juncture.RewardRequest{ShopperID: "bea", Event: "purchase", OutcomeID: "o2", Value: new(60.0), Currency: "GBP"}); err != nil {
		t.Fatal(err)
	}
	p.apply(strings.Replace(file, "status: running}", "shadow: true, status: running}", 1))
	shadow, err := c.Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "cy"})
	if err != nil || shadow.Group != juncture.GroupShadow || *shadow.ActionID != "welcome" || shadow.Shadow == nil {
		t.Fatalf("%+v, %v", shadow, err)
	}

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	person := &http.Client{Jar: jar}
	page := func(resp *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %v\n%s", resp.StatusCode, err, b)
		}
		return string(b)
	}
	if body := page(person.Get(base + "/console/shopper?id=ada")); !strings.Contains(body, "<h1>Sign in</h1>") || strings.Contains(body, "129.50") {
		t.Error("shown to nobody in particular")
	}
	page(person.PostForm(base+"/console/sign-in", url.Values{"name": {"admin"}, "password": {"correct horse battery"}}))
	for path, texts := range map[string][]string{
		"/console/shopper?id=ada": {"<bdi>ada</bdi>: first-time buyer who left a filled cart 84 minutes ago", "£129.50", "Added to the bag", "dress-1 × 2",
			"&lt;script&gt;", "Purchase £42.50", a.DecisionID, "Home hero"},
		"/console/shopper?id=bea":    {"Purchase £60.00, 33.3% of it<", "Purchase £60.00, 33.3% of it (credited)"},
		"/console/shopper?id=cy":     {"In shadow: the surface&#39;s default", "Drawn, not shown</dt><dd><code>" + shadow.Shadow.ActionID + "@1/plain@1"},
		"/console/shopper?id=a1":     {"first-time buyer"},
		"/console/shopper?id=nobody": {"Nothing was observed of <bdi>nobody</bdi>"},
		"/console/layers":            {"First-time", "Cart abandoned", "No id"},
	} {
		body := page(person.Get(base + path))
		for _, text := range texts {
			if !strings.Contains(body, text) {
				t.Errorf("%s has no %q", path, text)
			}
		}
		if strings.Contains(body, "<script") || strings.Contains(body, "<b>") {
			t.Errorf("%s is not escaped", path)
		}
		if t.Failed() {
			t.Log(body)
		}
	}
}
