package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/client"
	"github.com/juncture/juncture/internal/testkit"
)

// process is the whole program, serving on a free port, on a database of its own.
type process struct {
	t    *testing.T
	db   string
	addr string
	stop context.CancelFunc
	done chan error
}

func serve(t *testing.T, args ...string) *process {
	t.Helper()
	t.Setenv("JUNCTURE_ADMIN_PASSWORD", "correct horse battery")
	p := &process{t: t, db: filepath.Join(t.TempDir(), "juncture.db"), done: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	p.stop = stop
	out, ended := &output{}, make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"serve", "--addr", "127.0.0.1:0", "--db", p.db}, args...), out, io.Discard)
		ended <- err
		p.done <- err
	}()
	t.Cleanup(func() { p.wait() }) //nolint:errcheck // a test that minds looks itself
	p.addr = out.wait(t, `answers on http://(\S+),`, ended)
	return p
}

// wait stops the program and returns how it ended.
func (p *process) wait() error {
	p.stop()
	select {
	case err := <-p.done:
		p.done <- err
		return err
	case <-time.After(time.Minute):
		p.t.Error("serve does not stop")
		return nil
	}
}

// cli runs another command on the same database, beside the server, and returns what it printed.
func (p *process) cli(args ...string) string {
	p.t.Helper()
	return command(p.t, append(args, "--db", p.db)...)
}

func (p *process) apply(store string) {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "store.yaml")
	if err := os.WriteFile(file, []byte(store), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.cli("apply", "-f", file, "--approve")
}

// key makes an API key and returns its secret and id.
func (p *process) key(scopes string) (secret, id string) {
	p.t.Helper()
	lines := strings.Split(strings.TrimSpace(p.cli("keys", "create", "--name", "test", "--scopes", scopes)), "\n")
	secret = lines[len(lines)-1]
	return secret, strings.Split(secret, "_")[1]
}

func (p *process) client(key string) *client.Client {
	return client.New("http://"+p.addr, key, client.Options{Retries: -1, Timeout: 20 * time.Second})
}

func (p *process) ledger() testkit.Ledger {
	p.t.Helper()
	return testkit.ParseLedger(p.t, []byte(p.cli("export", "ledger")))
}

func (p *process) status(path string) int {
	p.t.Helper()
	resp, err := http.Get("http://" + p.addr + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body) //nolint:errcheck // a test
	return resp.StatusCode
}

const httpStore = `
store: {name: Demo, currency: GBP}
layers:
  moment: {source: request}
  meaning: {source: request, maxValues: 500}
  trajectory: {source: request}
  catalogue: {source: request}
outcomes:
  - {name: click, type: binary}
  - {name: purchase, type: money, bound: 5000}
surfaces:
  - {id: home_hero, channel: onsite, default: welcome}
actions:
  - {id: welcome, surfaces: [home_hero], type: content, copy: [{id: plain, headline: "Welcome back"}]}
  - {id: five_off, surfaces: [home_hero], type: discount, payload: {percent: 5}, copy: [{id: plain, headline: "5% off today", cta: "Shop now"}]}
experiments:
  - {id: hero, surface: home_hero, goal: {outcome: click, window: 24h}, groups: {policy: 1, random: 0, bau: 0, holdout: 0}, status: running}
`

// From an empty database to a winner, with the commands beside the running server.
func TestFromNothingToAWinner(t *testing.T) {
	p := serve(t)
	if got := []int{p.status("/livez"), p.status("/readyz"), p.status("/version"), p.status("/metrics"), p.status("/openapi.json")}; !cmp.Equal(got, []int{200, 200, 200, 200, 200}) {
		t.Errorf("an empty database is answered %v", got)
	}
	secret, id := p.key("choose,reward,read") // before there is a store
	c := p.client(secret)
	ask := func(who, moment string) (*juncture.ChooseAnswer, error) {
		return c.Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: who, Layers: &juncture.LayerValues{Moment: moment}})
	}
	if _, err := ask("ada", "loyal._._"); juncture.ErrorCode(err) != juncture.CodeSurfaceNotFound {
		t.Errorf("before the store is declared: %v", err)
	}
	p.apply(httpStore)
	for i := range 300 { // loyal shoppers click on five_off, the others on welcome
		moment, likes := "loyal._._", "five_off"
		if i%2 == 0 {
			moment, likes = "prospect._._", "welcome"
		}
		a, err := ask(fmt.Sprintf("s%d", i), moment)
		if err != nil {
			t.Fatal(err)
		}
		if *a.ActionID != likes {
			continue
		}
		if r, err := c.Reward(t.Context(), &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "click", OutcomeID: "c"}); err != nil || !r.Learned {
			t.Fatalf("%+v %v", r, err)
		}
	}
	w, err := c.Winners(t.Context(), "hero", client.WinnersQuery{Axes: []string{"lifecycle"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range w.Rows {
		got[r.Values[0]] = r.State + " " + r.Winner.Action
	}
	if diff := cmp.Diff(map[string]string{"loyal": "winner five_off", "prospect": "winner welcome"}, got); diff != "" {
		t.Error(diff)
	}
	p.cli("verify")
	if l := p.ledger(); len(l.Decisions) != 300 {
		t.Errorf("%d decisions in the ledger", len(l.Decisions))
	}
	p.apply(strings.Replace(httpStore, "percent: 5", "percent: 6", 1))
	seen := false // the very next calls may serve the new version, none the old one
	for i := range 40 {
		a, err := ask(fmt.Sprintf("n%d", i), "loyal._._")
		if err != nil {
			t.Fatal(err)
		}
		if *a.ActionID == "five_off" {
			seen = true
			if a.Action.Version != 2 || a.Action.Payload["percent"] != 6.0 {
				t.Fatalf("after the change %+v is served", a.Action)
			}
		}
	}
	if !seen {
		t.Error("the new version is never served")
	}
	p.cli("keys", "revoke", id)
	for until := time.Now().Add(time.Minute); ; { // the server looks at its keys again every second
		_, err := ask("ada", "loyal._._")
		if juncture.ErrorCode(err) == juncture.CodeUnauthorized {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("a key that was revoked a minute ago: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	p.cli("verify")
}

func TestClockIsForTestsOnly(t *testing.T) {
	for name, args := range map[string][]string{"flag": {"--test-clock"}, "seed": {"--seed", "7"}} {
		if err := run(t.Context(), append([]string{"serve", "--addr", "127.0.0.1:0", "--db", filepath.Join(t.TempDir(), "j.db")}, args...), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "--dev") {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Setenv("JUNCTURE_TEST_CLOCK", "true")
	if err := run(t.Context(), []string{"serve", "--addr", "127.0.0.1:0", "--db", filepath.Join(t.TempDir(), "j.db")}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "--dev") {
		t.Errorf("environment: %v", err)
	}
	t.Setenv("JUNCTURE_TEST_CLOCK", "")
	os.Unsetenv("JUNCTURE_TEST_CLOCK") //nolint:errcheck // Setenv puts it back

	p := serve(t, "--dev", "--test-clock", "--seed", "7")
	p.apply(httpStore)
	secret, _ := p.key("choose,reward")
	c, at := p.client(secret), time.Date(2031, 5, 1, 9, 0, 0, 0, time.UTC)
	a, err := c.At(at).Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "ada"})
	if err != nil || !a.RewardUntil.Equal(at.Add(24*time.Hour)) {
		t.Fatalf("%+v %v", a, err)
	}
	for _, x := range []struct {
		at   time.Time
		want juncture.Status
	}{{at.Add(25 * time.Hour), juncture.StatusLate}, {at.Add(time.Hour), juncture.StatusRecorded}} { // and back again
		if r, err := c.At(x.at).Reward(t.Context(), &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "click", OutcomeID: x.at.String()}); err != nil || r.Status != x.want {
			t.Errorf("at %v: %+v %v", x.at, r, err)
		}
	}
	if b, err := c.Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "bob"}); err != nil || time.Until(b.RewardUntil) > 25*time.Hour {
		t.Errorf("a call without the header: %+v %v", b, err)
	}
	p.cli("verify")
}

func TestNotReadyWithoutItsFile(t *testing.T) {
	p := serve(t)
	if got := p.status("/readyz"); got != 200 {
		t.Errorf("ready: %d", got)
	}
	away := p.db + ".away"
	if err := os.Rename(p.db, away); err != nil {
		t.Fatal(err)
	}
	if got := []int{p.status("/readyz"), p.status("/livez")}; !cmp.Equal(got, []int{503, 200}) {
		t.Errorf("the file is gone: ready %d, alive %d", got[0], got[1])
	}
	if err := os.WriteFile(p.db, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.status("/readyz"); got != 503 {
		t.Errorf("another file in its place: %d", got)
	}
	if err := os.Rename(away, p.db); err != nil {
		t.Fatal(err)
	}
	if got := p.status("/readyz"); got != 200 {
		t.Errorf("its own file is back: %d", got)
	}
}

// request writes the head of a request and the first n bytes of its body.
func (p *process) request(key, path, body string, n int) net.Conn {
	p.t.Helper()
	c, err := net.DialTimeout("tcp", p.addr, 5*time.Second)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })               //nolint:errcheck // a test
	c.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // a test
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", path, key, len(body), body[:n])
	return c
}

// A stop answers and commits every request that was accepted: what was acknowledged is in the ledger
// once, and nothing else is.
func TestGracefulStop(t *testing.T) {
	p := serve(t)
	p.apply(httpStore)
	secret, _ := p.key("choose,reward")
	c := p.client(secret)
	const callers = 16
	type told struct{ sent, acknowledged int64 }
	outcomes := make([]map[string]*told, callers)
	var working atomic.Int64
	var wg sync.WaitGroup
	for g := range callers {
		mine := map[string]*told{}
		outcomes[g] = mine
		wg.Go(func() {
			for i := 0; ; i++ {
				a, err := c.Choose(context.Background(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: fmt.Sprintf("%d-%d", g, i)})
				if err != nil {
					return
				}
				d := &told{}
				mine[a.DecisionID] = d
				for k := range 3 {
					d.sent++
					if _, err := c.Reward(context.Background(), &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "click", OutcomeID: fmt.Sprint(k)}); err != nil {
						if code := juncture.ErrorCode(err); code != juncture.CodeUnavailable {
							t.Errorf("a request was answered %v", err)
						}
						return
					}
					d.acknowledged++
				}
				working.Add(1)
			}
		})
	}
	for working.Load() < 2*callers {
		time.Sleep(5 * time.Millisecond)
	}
	// Half a request.
	a, err := c.Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "half"})
	if err != nil {
		t.Fatal(err)
	}
	body := `{"decisionId":"` + a.DecisionID + `","event":"click","outcomeId":"half"}`
	half := p.request(secret, "/reward", body, 20)
	time.Sleep(50 * time.Millisecond) // until the server has accepted it
	p.stop()
	for range 500 { // until the listener is closed
		conn, err := net.DialTimeout("tcp", p.addr, time.Second)
		if err != nil {
			break
		}
		conn.Close() //nolint:errcheck // a test
		time.Sleep(2 * time.Millisecond)
	}
	fmt.Fprint(half, body[20:])
	resp, err := http.ReadResponse(bufio.NewReader(half), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("half a request at the stop: %+v %v", resp, err)
	}
	wg.Wait()
	if err := p.wait(); err != nil {
		t.Errorf("the stop: %v", err)
	}
	p.cli("verify")
	ledger := p.ledger()
	if ledger.Decisions[a.DecisionID] != 1 {
		t.Error("the half request was answered and is not in the ledger")
	}
	total := int64(0)
	for _, mine := range outcomes {
		for d, n := range mine {
			if got, ok := ledger.Decisions[d]; !ok || got < n.acknowledged || got > n.sent {
				t.Errorf("decision %.16s: %d in the ledger, %d acknowledged, %d sent", d, got, n.acknowledged, n.sent)
			}
			total += n.acknowledged
		}
	}
	t.Logf("%d rewards acknowledged", total)
}
