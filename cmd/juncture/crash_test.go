package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/juncture/juncture/internal/testkit"
)

const crashStore = `
store: {name: Crash, currency: GBP}
outcomes:
  - {name: click, type: binary}
  - {name: purchase, type: money, bound: 5000}
layers: {moment: {source: request}, meaning: {source: request}}
surfaces:
  - {id: home_hero, channel: onsite, default: welcome}
actions:
  - {id: welcome, surfaces: [home_hero], type: content, copy: [{id: plain, headline: "Welcome"}]}
  - {id: news, surfaces: [home_hero], type: content, copy: [{id: plain, headline: "News"}, {id: loud, headline: "NEWS"}]}
experiments:
  - {id: hero, surface: home_hero, goal: {outcome: click, window: 24h}, groups: {policy: 0.8, random: 0.1, bau: 0.05, holdout: 0.05}, status: running}
`

// crashed is a server that is killed again and again, and what it acknowledged.
type crashed struct {
	t           *testing.T
	binary, dir string
	secret      string

	mu         sync.Mutex
	decided    map[string]bool            // decisions answered 200
	rewarded   map[string]map[string]bool // by decision: outcomes answered 200
	unanswered []unanswered               // requests that may or may not have been committed
	given      map[string]map[string]bool // by decision: outcomes that were never answered and will not be sent again
}

type unanswered struct {
	path, body, decision, outcome string
}

func (c *crashed) command(args ...string) (string, error) {
	cmd := exec.Command(c.binary, append(args, "--db", filepath.Join(c.dir, "juncture.db"))...)
	cmd.Env = append(os.Environ(), "JUNCTURE_ADMIN_PASSWORD=a password of the test")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("juncture %v: %w\n%s%s", args, err, out, stderr.Bytes())
	}
	return string(out), nil
}

// start starts the server on a free port and returns its process and address.
func (c *crashed) start() (*exec.Cmd, string) {
	c.t.Helper()
	cmd := exec.Command(c.binary, "serve", "--addr", "127.0.0.1:0", "--log", "error", "--checkpoint", "1s", "--db", filepath.Join(c.dir, "juncture.db"))
	cmd.Env = append(os.Environ(), "JUNCTURE_ADMIN_PASSWORD=a password of the test")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = cmd.Process.Kill() }) // it is gone, unless the test failed between
	address := regexp.MustCompile(`answers on (http://\S+?),`)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return cmd, m[1]
		}
	}
	c.t.Fatalf("the server ended without an address: %v", cmd.Wait())
	return nil, ""
}

// post sends a request; ok is false when no answer came, or one that may come out otherwise when it is sent again.
func (c *crashed) post(client *http.Client, base, path, body string) (answer map[string]any, ok bool) {
	r, err := http.NewRequest(http.MethodPost, base+path, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return nil, false
	}
	r.Header.Set("Authorization", "Bearer "+c.secret)
	res, err := client.Do(r)
	if err != nil {
		return nil, false
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusTooManyRequests {
		return nil, false
	}
	if res.StatusCode != http.StatusOK {
		c.t.Errorf("%s %s: %d %s", path, body, res.StatusCode, b)
		return nil, false
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		c.t.Errorf("%s: %v in %s", path, err, b)
		return nil, false
	}
	return answer, true
}

func (c *crashed) choose(client *http.Client, base, body string) (decision string, ok bool) {
	a, ok := c.post(client, base, "/choose", body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok {
		c.unanswered = append(c.unanswered, unanswered{path: "/choose", body: body})
		return "", false
	}
	decision, _ = a["decisionId"].(string)
	c.decided[decision] = true
	return decision, true
}

func (c *crashed) reward(client *http.Client, base, body, decision, outcome string) bool {
	a, ok := c.post(client, base, "/reward", body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok {
		c.unanswered = append(c.unanswered, unanswered{"/reward", body, decision, outcome})
		return false
	}
	if s := a["status"]; s != "recorded" && s != "duplicate" {
		c.t.Errorf("reward %s is %v", outcome, s)
	}
	note(c.rewarded, decision, outcome)
	return true
}

func note(m map[string]map[string]bool, decision, outcome string) {
	if m[decision] == nil {
		m[decision] = map[string]bool{}
	}
	m[decision][outcome] = true
}

// again sends what was not answered once more, with the same ids; every third is given up instead.
func (c *crashed) again(client *http.Client, base string) {
	c.mu.Lock()
	todo := c.unanswered
	c.unanswered = nil
	c.mu.Unlock()
	for i, u := range todo {
		switch {
		case i%3 == 2:
			if u.path == "/reward" {
				c.mu.Lock()
				note(c.given, u.decision, u.outcome)
				c.mu.Unlock()
			}
		case u.path == "/choose":
			if first, ok := c.choose(client, base, u.body); ok {
				if second, ok := c.choose(client, base, u.body); ok && first != second {
					c.t.Errorf("one requestId has two decisions: %s and %s", first, second)
				}
			}
		default:
			c.reward(client, base, u.body, u.decision, u.outcome)
		}
	}
}

// TestKill9LosesNothingThatWasAnswered kills the server in mid-load, again and again on one database: every reward that
// was answered 200 is counted once and never twice, every decision that was answered 200 is in the ledger, and the
// tallies are its fold.
func TestKill9LosesNothingThatWasAnswered(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	c := &crashed{t: t, dir: t.TempDir(), decided: map[string]bool{}, rewarded: map[string]map[string]bool{}, given: map[string]map[string]bool{}}
	c.binary = filepath.Join(c.dir, "juncture")
	if out, err := exec.Command("go", "build", "-o", c.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	file := filepath.Join(c.dir, "store.yaml")
	if err := os.WriteFile(file, []byte(crashStore), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"apply", "-f", file, "--approve"}, {"keys", "create", "--name", "crash", "--scopes", "choose,reward"}} {
		out, err := c.command(args...)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		c.secret = lines[len(lines)-1]
	}
	random := rand.New(rand.NewPCG(1, 2))
	serial := atomic.Int64{}
	started := time.Now()
	for round := range kills {
		cmd, base := c.start()
		client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
		c.again(client, base)
		// The kill comes after so many more answers, so that it hits another moment of the load each time.
		enough, answers := int64(20+random.IntN(6000)), atomic.Int64{}
		kill, once := make(chan struct{}), sync.Once{}
		answered := func() {
			if answers.Add(1) >= enough {
				once.Do(func() { close(kill) })
			}
		}
		var clients sync.WaitGroup
		for range 12 {
			clients.Go(func() {
				for failures := 0; failures < 2; {
					n := serial.Add(1)
					decision, ok := c.choose(client, base, fmt.Sprintf(`{"surface":"home_hero","shopperId":"s%d","requestId":"r%d","layers":{"moment":"m%d","meaning":"c%d"}}`, n, n, n%3, n%40))
					if !ok {
						failures++
						continue
					}
					answered()
					for i := range n % 4 {
						outcome := fmt.Sprintf("o%d-%d", n, i)
						body := fmt.Sprintf(`{"decisionId":%q,"event":"purchase","value":%d.25,"currency":"GBP","outcomeId":%q}`, decision, i+1, outcome)
						if !c.reward(client, base, body, decision, outcome) {
							failures++
							continue
						}
						answered()
					}
				}
			})
		}
		<-kill
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed, as it should be
		clients.Wait()
		client.CloseIdleConnections()
		if t.Failed() {
			t.Fatalf("after kill %d", round+1)
		}
	}
	cmd, base := c.start()
	client := &http.Client{Timeout: 20 * time.Second}
	c.again(client, base)
	client.CloseIdleConnections()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("a graceful stop: %v", err)
	}
	out, err := c.command("export", "ledger")
	if err != nil {
		t.Fatal(err)
	}
	ledger := testkit.ParseLedger(t, []byte(out)) // no decision stands twice, both columns have one sum
	rewards, lost, extra := 0, 0, 0
	for decision := range c.decided {
		n, there := ledger.Decisions[decision]
		if !there {
			t.Errorf("decision %s was answered, and is not in the ledger", decision)
			continue
		}
		sure, maybe := int64(len(c.rewarded[decision])), int64(len(c.given[decision]))
		for o := range c.given[decision] {
			if c.rewarded[decision][o] {
				maybe--
			}
		}
		rewards += int(sure)
		if n < sure {
			lost++
			t.Errorf("decision %s: %d rewards were answered, %d are counted", decision, sure, n)
		}
		if n > sure+maybe {
			extra++
			t.Errorf("decision %s: %d rewards were answered and %d not, %d are counted", decision, sure, maybe, n)
		}
	}
	if out, err := c.command("verify"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%d kills in %v: %d decisions and %d rewards answered; %d decisions in the ledger; %d lost, %d too many",
		kills, time.Since(started).Round(time.Millisecond), len(c.decided), rewards, len(ledger.Decisions), lost, extra)
	if len(c.decided) < kills || rewards < kills {
		t.Error("too little load to tell")
	}
}
