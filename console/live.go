package console

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
)

const (
	livePath  = "/console/live"
	liveLook  = time.Second     // between looks at the log, while somebody watches
	liveRetry = 2 * time.Second // after which a browser asks again, where its stream ended
)

// Live tells open pages that decisions were made. Its owner runs Run; the streams end with it.
type Live struct {
	newest func(ctx context.Context) (serial uint64, err error)
	most   int

	mu       sync.Mutex
	watching map[chan uint64]struct{}
	seen     uint64
	ended    bool
}

// NewLive makes one that tells at most so many pages at a time; 0 means 64. newest is the serial of the latest decision,
// 0 for none.
func NewLive(newest func(ctx context.Context) (serial uint64, err error), most int) *Live {
	if most <= 0 {
		most = 64
	}
	return &Live{newest: newest, most: most, watching: map[chan uint64]struct{}{}}
}

// NewestOf reads the serial of the latest decision of a log.
func NewestOf(l DecisionLog) func(ctx context.Context) (uint64, error) {
	return func(ctx context.Context) (uint64, error) {
		page, err := l.Decisions(ctx, juncture.DecisionQuery{Limit: 1})
		if err != nil || len(page.Items) == 0 {
			return 0, err
		}
		serial, _ := juncture.ParseSerial(page.Items[0].Serial) // the log's own
		return serial, nil
	}
}

// Run looks for decisions while somebody watches, until ctx ends; then it ends every stream and refuses others.
func (l *Live) Run(ctx context.Context) {
	t := time.NewTicker(liveLook)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			l.end()
			return
		case <-t.C:
			l.look(ctx)
		}
	}
}

// look tells those who watch of what is new. Where the log cannot be read it is looked at again next time.
func (l *Live) look(ctx context.Context) {
	if l.Watching() == 0 {
		return
	}
	serial, err := l.newest(ctx)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if serial == l.seen {
		return
	}
	l.seen = serial
	for c := range l.watching {
		select {
		case <-c: // what was not taken yet is out of date
		default:
		}
		c <- serial // has room: only this goroutine sends
	}
}

func (l *Live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for c := range l.watching {
		close(c)
		delete(l.watching, c)
	}
}

// Watching is how many pages are told.
func (l *Live) Watching() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.watching)
}

func (l *Live) watch() (chan uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || len(l.watching) >= l.most {
		return nil, &juncture.Error{Code: juncture.CodeUnavailable, Message: "too many pages are open", RetryAfter: 30 * time.Second}
	}
	c := make(chan uint64, 1)
	l.watching[c] = struct{}{}
	return c, nil
}

func (l *Live) leave(c chan uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watching, c)
}

// live streams the serial of the latest decision, at once and whenever it changes, for as long as a request may take; the
// browser then asks again, so that who has signed out is told no more.
func (c *Console) live(g *gin.Context) {
	told, err := c.deps.Live.watch()
	if err != nil {
		g.Header("Retry-After", "30")
		g.AbortWithStatus(http.StatusServiceUnavailable)
		return
	}
	defer c.deps.Live.leave(told)
	ctx := g.Request.Context()
	serial, err := c.deps.Live.newest(ctx)
	if err != nil {
		g.AbortWithStatus(http.StatusServiceUnavailable)
		return
	}
	g.Header("Content-Type", "text/event-stream; charset=utf-8")
	g.Header("X-Accel-Buffering", "no") // a proxy that buffers would hold it back
	g.Status(http.StatusOK)
	flush := http.NewResponseController(g.Writer)
	send := func(serial uint64) bool {
		_, err := fmt.Fprintf(g.Writer, "event: decision\ndata: %d\n\n", serial)
		return err == nil && flush.Flush() == nil
	}
	if _, err := fmt.Fprintf(g.Writer, "retry: %d\n", liveRetry.Milliseconds()); err != nil || !send(serial) {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case serial, ok := <-told:
			if !ok || !send(serial) {
				return
			}
		}
	}
}

// watch has the page follow the log, where the console is told of it: it has seen the newest decision, and is looked at
// again no sooner than every. A shared page does not: its link opens nothing else.
func (l *layout) watch(c *Console, newest string, every time.Duration) {
	if c.deps.Decisions != nil && c.deps.Live != nil && l.Until.IsZero() {
		l.Newest, l.Every = newest, every.Milliseconds()
		l.Script = staticPath + c.pages.sum + "/live.js"
	}
}
