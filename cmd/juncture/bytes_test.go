package main

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture/access"
)

func takingGzip(change func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Accept-Encoding", "gzip")
		change(r)
	}
}

// What a page has its browser fetch: scripts, pictures, style sheets and where links and forms lead.
var (
	refers = regexp.MustCompile(`(?i)\b(?:src|href|action|srcset|poster|formaction|data)="([^"]*)"`)
	loads  = regexp.MustCompile(`(?i)<(?:link|script|img|source)\b[^>]*\b(?:src|href)="([^"]*)"`)
	inCSS  = regexp.MustCompile(`(?i)url\(\s*["']?([^"')]*)|@import\s+["']([^"']*)`)
)

// TestFirstViews reads every page of a shop: at first view, compressed, with all that it loads, it is under 60 kB, and nothing
// in it refers to another host.
func TestFirstViews(t *testing.T) {
	const most = 60_000
	s := openShop(t, 1500, 4500) // wide enough that every list and grid meets its limit
	pages, exports, reads := s.paths()
	admin := takingGzip(withToken(s.sessions["admin"]))
	kept := map[string]int{} // bytes of what pages load, by path
	elsewhere := func(where, to string) {
		u, err := url.Parse(strings.ReplaceAll(to, "&amp;", "&"))
		if err != nil || u.Host != "" || u.Scheme != "" {
			t.Errorf("%s refers to %q", where, to)
		}
	}
	load := func(path string) int {
		if n, ok := kept[path]; ok {
			return n
		}
		w := s.call("GET", path, "", admin)
		if w.Code != 200 || w.Header().Get("Content-Encoding") != "gzip" && w.Body.Len() > 1024 {
			t.Errorf("%s: %d, encoded as %q, %d bytes", path, w.Code, w.Header().Get("Content-Encoding"), w.Body.Len())
		}
		kept[path] = w.Body.Len()
		text := unzip(t, w.Header(), w.Body)
		if strings.HasSuffix(path, ".js") && strings.Contains(text, "://") {
			t.Errorf("%s names an address", path)
		}
		for _, m := range inCSS.FindAllStringSubmatch(text, -1) {
			elsewhere(path, m[1]+m[2])
		}
		return kept[path]
	}
	largest := 0
	for _, path := range pages {
		w := s.call("GET", path, "", admin)
		if w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
			continue
		}
		n := w.Body.Len()
		html := unzip(t, w.Header(), w.Body)
		for _, m := range refers.FindAllStringSubmatch(html, -1) {
			elsewhere(path, m[1])
		}
		for _, m := range loads.FindAllStringSubmatch(html, -1) {
			n += load(m[1])
		}
		if len(kept) < 2 {
			t.Fatalf("%s loads %v: no style sheet and no icon", path, kept)
		}
		if n >= most {
			t.Errorf("%s: %d bytes at first view, compressed, of them %d the page", path, n, w.Body.Len())
		}
		largest = max(largest, n)
	}
	t.Logf("%d pages, at most %d bytes at first view; of that %v", len(pages), largest, kept)
	for _, path := range slices.Concat(exports, reads) {
		who := admin
		if strings.HasPrefix(path, "/api/") {
			who = takingGzip(withKey(s.house.keys[string(access.ScopeAdmin)]))
		}
		w := s.call("GET", path, "", who)
		if w.Code != 200 || !strings.Contains(w.Header().Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: %d, Vary %q", path, w.Code, w.Header().Get("Vary"))
		}
		unzip(t, w.Header(), w.Body)
	}
}

func unzip(t testing.TB, h http.Header, r io.Reader) string {
	t.Helper()
	if h.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestCompression is of what is compressed and what is not.
func TestCompression(t *testing.T) {
	h := openHouse(t)
	viewer := withToken(h.sessions["viewer"])
	for _, tt := range []struct{ name, method, path, accept, encoding string }{
		{"a page", "GET", "/console/layers", "gzip, deflate, br", "gzip"},
		{"who takes none", "GET", "/console/layers", "", ""},
		{"who weighs it 0", "GET", "/console/layers", "gzip;q=0", ""},
		{"events as they come", "GET", "/console/live", "gzip", ""},
		{"a call", "POST", "/choose", "gzip", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := h.call(tt.method, tt.path, "", func(r *http.Request) {
				viewer(r)
				if tt.accept != "" {
					r.Header.Set("Accept-Encoding", tt.accept)
				}
			})
			if got := w.Header().Get("Content-Encoding"); got != tt.encoding || strings.HasPrefix(tt.path, "/console/layers") && !strings.Contains(w.Header().Get("Vary"), "Accept-Encoding") {
				t.Errorf("%d, encoded as %q, Vary %q", w.Code, got, w.Header().Get("Vary"))
			}
		})
	}
}

// TestCutAnswer: who reads an answer that could not be ended, compressed or not, is told by the connection.
func TestCutAnswer(t *testing.T) {
	h := openHouse(t)
	h.server.Gin().GET("/console/cut", func(g *gin.Context) {
		g.Header("Content-Type", "text/csv; charset=utf-8")
		for range 1000 {
			_, _ = g.Writer.WriteString("a,b,c\n")
			g.Writer.Flush()
		}
		panic(http.ErrAbortHandler)
	})
	s := httptest.NewServer(h.server)
	defer s.Close()
	for _, accept := range []string{"gzip", "identity"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/console/cut", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", accept)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close() //nolint:errcheck // it was cut
		if err == nil || n == 0 {
			t.Errorf("%s: %d bytes and no error of an answer that was cut", accept, n)
		}
	}
}
