package watch

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/health"
)

// Write prints a read-out for a terminal.
func Write(out io.Writer, h Health) error {
	var b strings.Builder
	kind := "experiment"
	if h.Holdout {
		kind = "holdout"
	}
	fmt.Fprintf(&b, "health of %s %s, as of %s: %s\n\n", kind, h.ID, h.AsOf.Format("2006-01-02 15:04 MST"), h.State)
	for _, s := range h.Sentences {
		fmt.Fprintln(&b, s)
	}
	if h.Excluded+h.Removed > 0 {
		fmt.Fprintf(&b, "Taken out as bots or staff: %s shoppers with %s trials.\n", experiments.Count(h.Excluded), experiments.Count(h.Removed))
	}
	fmt.Fprintln(&b)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\tVERDICT\tE-VALUE\tP AT ONE LOOK\tWHAT IT SAYS")
	for _, c := range h.Checks {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.Name, c.Verdict, numbers(c), c.Sentence)
	}
	_ = t.Flush() // into memory
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// numbers are a check's e-value and p, where it has them.
func numbers(c Check) string {
	switch {
	case c.Verdict == health.VerdictThin:
	case c.Name == "draws":
		return fmt.Sprintf("%.3g\t", c.Ratio.E)
	case c.Ratio != nil:
		return fmt.Sprintf("%.3g\t%.3f", c.Ratio.E, c.Ratio.P)
	case c.Rates != nil && c.Rates.Degrees > 0:
		return fmt.Sprintf("%.3g\t%.3f", c.Rates.E, c.Rates.P)
	case c.Jump != nil:
		return fmt.Sprintf("\t%.3f", c.Jump.P)
	}
	return "\t"
}
