package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/juncture/juncture/access"
)

// BenchmarkPages reads every page of the console, its exports and the API's reads on a shop with 10,000 intersections and
// 300,000 decisions, nine times each, evidence growing between readings as in a shop. Before the first the configuration
// changes: nothing that was read before is shown again. It prints that first reading, the median and the worst of the others,
// by the clock; the processor's time of the first, background work included; bytes as they are and compressed. It needs
// JUNCTURE_EVALUATE=1.
func BenchmarkPages(b *testing.B) {
	if os.Getenv("JUNCTURE_EVALUATE") == "" {
		b.Skip("set JUNCTURE_EVALUATE=1: it writes 300,000 decisions first")
	}
	began := time.Now()
	s := openShop(b, 10_000, 300_000)
	fmt.Printf("%d intersections, %d decisions, made in %.0f s\n", len(s.keys), s.made, time.Since(began).Seconds())
	for b.Loop() {
	}
	for n := 1; n > 0; { // what follows the log has caught up with what was made at once
		var err error
		if n, err = s.engine.Watch(b.Context(), time.Now()); err != nil {
			time.Sleep(time.Second) // the server's own job reads the same
		}
	}
	runtime.GC()
	pages, exports, reads := s.paths()
	for _, kind := range []struct {
		name  string
		paths []string
		who   func(*http.Request)
	}{{"pages", pages, withToken(s.sessions["admin"])}, {"exports", exports, withToken(s.sessions["admin"])}, {"reads of the API", reads, withKey(s.house.keys[string(access.ScopeAdmin)])}} {
		fmt.Printf("\n%-78s %8s %8s %8s %8s %8s %8s\n", kind.name, "first", "median", "worst", "CPU, ms", "kB", "gzip kB")
		for _, path := range kind.paths {
			const times = 9
			var took []time.Duration
			var used, first time.Duration
			var w *httptest.ResponseRecorder
			s.change()
			for i := range times {
				s.write(60)
				start, cpu := time.Now(), processorTime()
				w = s.call("GET", path, "", kind.who)
				if i == 0 {
					first, used = time.Since(start), processorTime()-cpu
				} else {
					took = append(took, time.Since(start))
				}
				if w.Code != 200 {
					b.Fatalf("%s: %d %s", path, w.Code, w.Body)
				}
			}
			slices.Sort(took)
			body, _ := io.ReadAll(w.Body)
			fmt.Printf("%-78.78s %8d %8d %8d %8d %8d %8d\n", path, first.Milliseconds(), took[len(took)/2].Milliseconds(), took[len(took)-1].Milliseconds(), used.Milliseconds(), len(body)>>10, zipped(body)>>10)
		}
	}
}

// processorTime is what the process has used.
func processorTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
