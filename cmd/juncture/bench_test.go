package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/intake"
)

const benchStore = `
store: {name: Bench, currency: GBP}
layers:
  moment: {source: request}
  meaning: {source: request}
  trajectory: {source: request}
  catalogue: {source: request}
outcomes: [{name: click, type: binary}]
surfaces: [{id: home, channel: onsite, default: a0}]
actions:
%s
experiments:
  - {id: bench, surface: home, goal: {outcome: click, window: 24h}, groups: {policy: 1, random: 0, bau: 0, holdout: 0}, status: running}
`

// BenchmarkHTTP measures durable /choose and /reward requests a second over loopback against a bare gin handler that
// decodes and encodes JSON of the same shape, in alternating rounds of one run. Client and server share the machine;
// the client is the same for all three. 24 arms (8 actions × 3 copies), 512 intersections, 64 connections.
func BenchmarkHTTP(b *testing.B) {
	const connections, rounds = 64, 5
	round := 2 * time.Second
	s, key := benchServer(b)
	bare := bareServer(b)
	for b.Loop() {
		var chooses, rewards, bares measured
		var ids idPool
		var n atomic.Uint64
		drive(b, s.addr, connections, round, func() []byte { return chooseRequest(key, n.Add(1)) }, nil) // a store without evidence renews its vectors all the time
		for range rounds {
			bares.add(drive(b, bare, connections, round, func() []byte { return chooseRequest(key, n.Add(1)) }, nil))
			chooses.add(drive(b, s.addr, connections, round, func() []byte { return chooseRequest(key, n.Add(1)) }, ids.keep))
			rewards.add(drive(b, s.addr, connections, round, func() []byte { return rewardRequest(key, ids.take(), n.Add(1)) }, nil))
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "%d cores, %d connections, median of %d rounds of %v, %s\n", runtime.GOMAXPROCS(0), connections, rounds, round, runtime.Version())
		fmt.Fprintln(w, "handler\trequests/s\tof bare gin\trange over rounds\tCPU µs a request, client included")
		for _, r := range []struct {
			name string
			measured
		}{{"bare gin, same JSON", bares}, {"/choose, durable", chooses}, {"/reward, durable", rewards}} {
			ratios := make([]float64, len(r.rps))
			for i := range r.rps {
				ratios[i] = r.rps[i] / bares.rps[i]
			}
			slices.Sort(ratios)
			fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f to %.2f\t%.1f\n", r.name, median(r.rps), median(ratios), ratios[0], ratios[len(ratios)-1], median(r.cpu))
			if strings.HasPrefix(r.name, "/") {
				b.ReportMetric(median(ratios), r.name[1:7]+"/bare")
			}
		}
		w.Flush()
	}
}

// measured is one handler's rounds: requests a second, and CPU microseconds a request, which other work on the machine
// moves less.
type measured struct{ rps, cpu []float64 }

func (m *measured) add(rps, cpu float64) { m.rps, m.cpu = append(m.rps, rps), append(m.cpu, cpu) }

// cpuTime is what this process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

func benchServer(b *testing.B) (*running, string) {
	b.Helper()
	ctx := context.Background()
	var actions strings.Builder
	for i := range 8 {
		fmt.Fprintf(&actions, "  - {id: a%d, surfaces: [home], type: content, copy: [{id: x, headline: X}, {id: y, headline: Y}, {id: z, headline: Z}]}\n", i)
	}
	d, err := intake.ParseStoreFile("bench.yaml", []byte(fmt.Sprintf(benchStore, actions.String())))
	if err != nil {
		b.Fatal(err)
	}
	a := &app{settings: defaults(), out: io.Discard, err: io.Discard, now: time.Now}
	a.Addr, a.DB = "127.0.0.1:0", filepath.Join(b.TempDir(), "bench.db")
	s, err := a.startServer(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.close(); err != nil {
			b.Error(err)
		}
	})
	if _, err := applyTo(ctx, s.db, d, true, "bench", time.Now()); err != nil {
		b.Fatal(err)
	}
	k, secret, err := access.NewKey("bench", []access.Scope{access.ScopeChoose, access.ScopeReward}, false, nil, time.Now(), a.random())
	if err != nil {
		b.Fatal(err)
	}
	if err := s.db.CreateKey(ctx, k, a.note("create", "key", nil)); err != nil {
		b.Fatal(err)
	}
	return s, secret
}

// bareServer decodes the same request with encoding/json and encodes an answer of the same size, under gin alone.
func bareServer(b *testing.B) string {
	b.Helper()
	answer := juncture.ChooseAnswer{DecisionID: strings.Repeat("x", 200), Action: &juncture.ActionView{ID: "a0", Payload: map[string]any{}},
		Copy: &juncture.CopyView{ID: "x", Headline: "X"}, Products: []juncture.ProductView{}, Warnings: []string{},
		Intersection: juncture.IntersectionView{Key: strings.Repeat("k", 60), Layers: map[string]juncture.LayerView{}}}
	for i := range 24 {
		answer.Ranking = append(answer.Ranking, juncture.RankedView{ActionID: fmt.Sprintf("a%d", i/3), CopyID: "x", Probability: 1.0 / 24.3})
	}
	for _, l := range juncture.Layers() {
		answer.Intersection.Layers[l.String()] = juncture.LayerView{Value: "value-1", Confidence: 1, Reason: "sent by the caller"}
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.POST("/choose", func(c *gin.Context) {
		var q juncture.ChooseRequest
		body, err := io.ReadAll(c.Request.Body)
		if err == nil {
			err = json.Unmarshal(body, &q)
		}
		if err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		out, err := json.Marshal(answer)
		if err != nil {
			c.Status(http.StatusInternalServerError)
			return
		}
		c.Data(http.StatusOK, "application/json", out)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	h := &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Serve(l) }()
	b.Cleanup(func() { _ = h.Close(); <-done })
	return l.Addr().String()
}

func chooseRequest(key string, n uint64) []byte {
	cell := n * 2654435761 % 512
	return post("/choose", key, fmt.Sprintf(`{"surface":"home","shopperId":"shopper-%d","layers":{"moment":"loyal.browsing.m%d","meaning":"cluster-%d","trajectory":"high.t%d","catalogue":"c%d"}}`,
		n%100_000, cell%8, cell/8%8, cell/64%4, cell/256))
}

func rewardRequest(key, id string, n uint64) []byte {
	return post("/reward", key, fmt.Sprintf(`{"decisionId":"%s","event":"click","outcomeId":"o%d"}`, id, n))
}

func post(path, key, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, key, len(body), body)
}

// idPool keeps decision ids that /choose gave, for /reward.
type idPool struct {
	mu  sync.Mutex
	ids []string
	at  int
}

func (p *idPool) keep(body []byte) {
	const prefix = `{"decisionId":"`
	rest, ok := bytes.CutPrefix(body, []byte(prefix))
	end := bytes.IndexByte(rest, '"')
	if !ok || end < 0 {
		return
	}
	p.mu.Lock()
	p.ids = append(p.ids, string(rest[:end]))
	p.mu.Unlock()
}

func (p *idPool) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at++
	return p.ids[p.at%len(p.ids)]
}

// drive keeps every connection busy with one request at a time and returns the requests answered a second and the CPU microseconds of each. The client
// is a socket and a scan for Content-Length: little enough beside any server.
func drive(b *testing.B, addr string, connections int, d time.Duration, next func() []byte, got func(body []byte)) (rps, cpu float64) {
	b.Helper()
	var answered atomic.Int64
	var wg sync.WaitGroup
	used, start := cpuTime(b), time.Now()
	end := start.Add(d)
	for range connections {
		wg.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			r := bufio.NewReaderSize(conn, 16<<10)
			body := make([]byte, 16<<10)
			for time.Now().Before(end) {
				if _, err := conn.Write(next()); err != nil {
					b.Error(err)
					return
				}
				n, err := readAnswer(r, body)
				if err != nil {
					b.Error(err)
					return
				}
				if got != nil {
					got(body[:n])
				}
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	took, n := time.Since(start), float64(answered.Load())
	return n / took.Seconds(), float64((cpuTime(b) - used).Microseconds()) / n
}

func readAnswer(r *bufio.Reader, body []byte) (int, error) {
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return 0, fmt.Errorf("answered %q", line)
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return 0, err
			}
		}
		if len(line) <= 2 {
			break
		}
	}
	if length < 0 || length > len(body) {
		return 0, fmt.Errorf("Content-Length %d", length)
	}
	return io.ReadFull(r, body[:length])
}
