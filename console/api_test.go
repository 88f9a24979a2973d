package console_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture/console"
)

func describedAPI(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("../server/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func serveAPI(t *testing.T, document []byte) http.Handler {
	t.Helper()
	gin.SetMode(gin.TestMode)
	c, err := console.New(console.Deps{API: document, Source: newFake().Deps().Source, Sessions: newFake().Deps().Sessions})
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	c.Mount(r)
	return r
}

// The page of the API shows every operation and every schema of the document, and each of its links leads somewhere.
func TestAPIPage(t *testing.T) {
	document := describedAPI(t)
	h := serveAPI(t, document)
	ask := func(headers map[string]string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, console.APIPath, nil)
		for k, v := range headers {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := ask(nil)
	body := w.Body.String()
	if w.Code != 200 || w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID, Summary string
			Parameters           []struct{ Name string }
		}
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any
			}
		}
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	section := func(id string) string {
		t.Helper()
		_, rest, ok := strings.Cut(body, `<article class="card op" aria-labelledby="`+id+`">`)
		if !ok {
			t.Errorf("%s is not described", id)
		}
		part, _, _ := strings.Cut(rest, "</article>")
		return part
	}
	operations := 0
	for path, item := range doc.Paths {
		for method, op := range item {
			operations++
			part := section(op.OperationID)
			for _, text := range []string{"<code>" + path + "</code>", ">" + strings.ToUpper(method) + "</span>", "the scope"} {
				if !strings.Contains(part, text) && !(text == "the scope" && strings.Contains(part, "Anybody, without a key")) {
					t.Errorf("%s does not say %q", op.OperationID, text)
				}
			}
			for _, p := range op.Parameters {
				if p.Name != "" && !strings.Contains(part, "<code>"+p.Name+"</code>") {
					t.Errorf("%s does not say its parameter %s", op.OperationID, p.Name)
				}
			}
		}
	}
	for name, s := range doc.Components.Schemas {
		part := section("s-" + name)
		for field := range s.Properties {
			if !strings.Contains(part, "<code>"+field+"</code>") {
				t.Errorf("%s does not say its field %s", name, field)
			}
		}
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(body, -1) {
		if ids[m[1]] {
			t.Errorf("the id %s twice", m[1])
		}
		ids[m[1]] = true
	}
	links := regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(body, -1)
	for _, m := range links {
		if !ids[m[1]] {
			t.Errorf("#%s leads nowhere", m[1])
		}
	}
	if operations < 90 || len(links) < 3*operations || regexp.MustCompile(`(?i)(src|href)="(https?:)?//|<style|<script| style=`).MatchString(body) {
		t.Errorf("%d operations, %d links, or something from elsewhere", operations, len(links))
	}

	zipped := ask(map[string]string{"Accept-Encoding": "gzip, br"})
	if size := zipped.Body.Len(); size > 60<<10 || zipped.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes, %v", size, zipped.Header())
	}
	z, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); err != nil || string(plain) != body {
		t.Errorf("another page compressed, %v", err)
	}
	if again := ask(map[string]string{"If-None-Match": w.Header().Get("ETag")}); again.Code != 304 || again.Body.Len() > 0 {
		t.Errorf("asked again: %d, %d bytes", again.Code, again.Body.Len())
	}
}

// What a document says is text, whatever it looks like, and a reference that leads nowhere is an error, not a hole.
func TestAPIPageOfOtherDocuments(t *testing.T) {
	hostile := bytes.ReplaceAll(describedAPI(t), []byte(`"What is wrong, for people."`), []byte(`"<script>alert(1)</script>\"><img src=x onerror=alert(1)>"`))
	w := httptest.NewRecorder()
	serveAPI(t, hostile).ServeHTTP(w, httptest.NewRequest(http.MethodGet, console.APIPath, nil))
	if body := w.Body.String(); !strings.Contains(body, "&lt;script&gt;") || strings.Contains(body, "<script") || strings.Contains(body, "<img") {
		t.Error("the document's text is not escaped")
	}
	for what, document := range map[string][]byte{"no JSON": []byte("{"), "a schema that is not there": bytes.Replace(describedAPI(t), []byte(`#/components/schemas/LayerValues`), []byte(`#/components/schemas/Nothing`), 1),
		"an answer that is not there":   bytes.Replace(describedAPI(t), []byte(`#/components/responses/TooMany"`), []byte(`#/components/responses/Nothing"`), 1),
		"a parameter that is not there": bytes.Replace(describedAPI(t), []byte(`#/components/parameters/RequestId"`), []byte(`#/components/parameters/Nothing"`), 1),
		"a tag that is not described":   bytes.Replace(describedAPI(t), []byte(`"name": "storefront"`), []byte(`"name": "shopfront"`), 1)} {
		if _, err := console.New(console.Deps{API: document}); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
