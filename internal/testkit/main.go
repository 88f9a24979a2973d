package testkit

import (
	"flag"
	"os"
	"strconv"
	"testing"

	_ "pgregory.net/rapid" // declares the flags
)

// Main runs a package's tests with rapid's draws the same in every run, and so many of them for each property;
// -rapid.seed and -rapid.checks ask for others.
func Main(m *testing.M, checks int) {
	flag.Parse()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, v := range map[string]string{"rapid.seed": "1", "rapid.checks": strconv.Itoa(checks), "rapid.nofailfile": "true"} {
		if given[name] {
			continue
		}
		if err := flag.Set(name, v); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
