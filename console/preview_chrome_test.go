package console_test

import (
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/juncture/juncture/console/preview"
	"github.com/juncture/juncture/internal/testkit"
)

// Every page of the preview's list is looked at in every state: it does not scroll sideways, and nobody is kept out of it,
// light and dark. JUNCTURE_PAGES, a part of the links, looks at some.
func TestPreviewInChromium(t *testing.T) {
	b := openBrowser(t, "the pages of the console were not looked at")
	axe := testkit.Axe(t, "axe-core did not check the pages of the console")
	pages, err := preview.New(describedAPI(t))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	b.bring(axe)
	b.run("the list", chromedp.Navigate(server.URL+"/"))
	b.steady("the list")
	b.axe("the list")
	links := evaluate[[]string](b, `[...document.querySelectorAll('li a')].map(a => a.getAttribute('href'))`)
	if len(links) < 100 {
		t.Fatalf("the list has %d links", len(links))
	}
	known := &seen{all: map[string]bool{}}
	todo := make(chan string, len(links))
	for _, link := range links {
		if strings.Contains(link, os.Getenv("JUNCTURE_PAGES")) {
			todo <- link
		}
	}
	close(todo)
	t.Run("walkers", func(t *testing.T) {
		for _, name := range []string{"one", "two"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				walker := b.another(t)
				walker.bring(axe)
				for link := range todo {
					walker.visit(server.URL, link, known)
				}
			})
		}
	})
}

// seen is what was looked at already, of several walkers.
type seen struct {
	mu  sync.Mutex
	all map[string]bool
}

// fresh reports whether any of it was not, and keeps it.
func (s *seen) fresh(what ...string) (some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range what {
		some = some || !s.all[w]
		s.all[w] = true
	}
	return some
}

// visit looks at one page of the list. axe-core does not look twice at the same page, nor at colours that it saw.
func (b *browser) visit(base, link string, known *seen) {
	b.look("light", 1440)
	if err := chromedp.Do(b.ctx, chromedp.Navigate(base+link)); err != nil {
		b.t.Errorf("%s: %v", link, err)
		return
	}
	path, err := url.PathUnescape(strings.TrimPrefix(link, preview.Path+"/"))
	if err != nil {
		b.t.Errorf("%s: %v", link, err)
	}
	state, name, _ := strings.Cut(path, "/")
	at := state + ", " + name
	rich := state == preview.Rich
	if rich {
		b.keys(at)
	}
	b.say(`[...document.querySelectorAll('details')].forEach(d => { d.dataset.folded = d.open ? '' : '1'; d.open = true }), ''`) // what is folded is looked at too
	b.audit(at)
	if known.fresh(b.fingerprint()) {
		b.axe(at)
	}
	b.steady(at + ", 1440")
	b.shoot(at + ", light, 1440")
	b.scheme("dark")
	if known.fresh(b.painted()...) {
		b.axe(at+", dark", "color-contrast")
	}
	if rich {
		b.shoot(at + ", dark, 1440")
	}
	for _, width := range []int64{360, 320} {
		b.width(width)
		b.steady(at + ", " + map[int64]string{360: "360", 320: "320"}[width])
		if rich && width == 360 {
			b.shoot(at + ", dark, 360")
			b.scheme("light")
			b.shoot(at + ", light, 360")
		}
	}
}
