package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The preview says where it is, shows a page without a sign-in, takes a form, and writes nothing.
func TestPreview(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	out, done := background(t, "preview", "--addr", "127.0.0.1:0")
	out.wait(t, `nothing is stored`, done)
	base := regexp.MustCompile(`http://[^/]+`).FindString(out.String())
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	page := func(r *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", r.Request.URL, r.StatusCode, err)
		}
		return string(b)
	}
	for _, x := range [][2]string{{"/", "/preview/hostile/settings"}, {"/preview/one/pool", "1 action of 1"}, {"/console/pool", "1 action of 1"}} { // the state stays chosen
		if body := page(client.Get(base + x[0])); !strings.Contains(body, x[1]) {
			t.Errorf("%s has no %q", x[0], x[1])
		}
	}
	r, err := client.Post(base+"/console/pool-switch", "application/x-www-form-urlencoded", strings.NewReader("what=store&verb=kill&reason=because"))
	if body := page(r, err); !strings.Contains(body, "Killed: nothing of it is shown") {
		t.Error("a form is not answered")
	}
	if left, err := filepath.Glob("*"); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
