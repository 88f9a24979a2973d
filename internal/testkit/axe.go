package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Axe returns the script of axe-core, which finds in a page what keeps people out of it; empty where this machine does not
// have it (make axe fetches it), and then the test says what was not checked.
func Axe(t testing.TB, unseen string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	where, err := exec.Command(filepath.Join(filepath.Dir(here), "..", "..", "scripts", "need-axe"), "--print").Output()
	if err != nil {
		t.Logf("no axe-core: %v: %s", err, unseen)
		return ""
	}
	b, err := os.ReadFile(strings.TrimSpace(string(where)))
	if err != nil {
		t.Logf("no axe-core on this machine (make axe fetches it): %s", unseen)
		return ""
	}
	return string(b)
}
