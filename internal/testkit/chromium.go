package testkit

import (
	"os/exec"
	"testing"
)

// Chromium returns the browser for tests that look at pages; without one the test is skipped, and says what was not
// looked at.
func Chromium(t testing.TB, unseen string) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("no Chromium on this machine (make browser installs it): %s", unseen)
	return ""
}
