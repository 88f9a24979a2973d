package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// Write prints a report for a terminal.
func Write(out io.Writer, r Report) error {
	w := &printer{w: out}
	kind := "experiment"
	if r.Holdout {
		kind = "holdout"
	}
	w.line("%s %s, as of %s", kind, r.ID, r.AsOf.Format("2006-01-02 15:04 MST"))
	if r.Goal != "" {
		w.line("surface %s, goal %s, %s; outcomes count for %v after a shopper is enrolled", r.Surface, r.Goal, r.Status, r.Horizon)
	} else {
		w.line("outcomes count for %v after a shopper is enrolled", r.Horizon)
	}
	w.line("")
	w.line("%s", r.Sentence)
	for _, s := range r.Warnings {
		w.line("Warning: %s", s)
	}
	w.line("")
	b := builder{src: Source{Currency: r.Currency}}
	w.table(func(t io.Writer) {
		fmt.Fprintln(t, "GROUP\tSHARE\tSHOPPERS\tCLOSED\tOPEN\tEXPOSURES\tOUTCOME\tSHOPPERS\tCOUNT\tCONVERSION\tPER SHOPPER\tAVERAGE")
		for _, g := range r.Groups {
			head := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", g.Group, experiments.Percent(g.Share), experiments.Count(g.Enrolled), experiments.Count(g.Closed), experiments.Count(g.Open), experiments.Count(g.Exposures))
			for _, m := range g.Metrics {
				perShopper, average := "", ""
				if m.Value != 0 || m.PerShopper != 0 {
					perShopper, average = experiments.Money(m.PerShopper, r.Currency), experiments.Money(m.Average, r.Currency)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", head, m.Outcome, experiments.Count(m.Shoppers), experiments.Count(m.Count), experiments.Percent(m.Conversion), perShopper, average)
				head = "\t\t\t\t\t"
			}
		}
	})
	if len(r.Lifts) > 0 {
		w.line("")
		w.table(func(t io.Writer) {
			fmt.Fprintln(t, "LIFT\tOF\tOVER\tMEAN\tCONTROL\tDIFFERENCE\tLOW\tHIGH\tRELATIVE\tLOW\tHIGH\tP AT ONE LOOK\t")
			for _, l := range r.Lifts {
				fmt.Fprintf(t, "%s, %s\t%s\t%s\t%s\t%s\t", l.Outcome, l.Measure, l.Group, l.Over, b.amount(l.Measure, l.Mean), b.amount(l.Measure, l.ControlMean))
				if l.Difference.NotEnough != "" {
					fmt.Fprintf(t, "not enough data\t\t\t\t\t\t\t\n")
					continue
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t", b.amount(l.Measure, l.Difference.Estimate), b.amount(l.Measure, l.Difference.Low), b.amount(l.Measure, l.Difference.High))
				if l.Relative.NotEnough != "" {
					fmt.Fprint(t, "–\t\t\t")
				} else {
					fmt.Fprintf(t, "%s\t%s\t%s\t", signed(l.Relative.Estimate), signed(l.Relative.Low), signed(l.Relative.High))
				}
				fmt.Fprintf(t, "%.3f\t\n", l.Difference.P)
			}
		})
		w.line("")
		w.line("By intention to treat: all that shoppers did within the horizon, whatever it was credited to. Low and high may be looked at any time (95%%);")
		w.line("P holds at one look that was planned.")
		if adaptive(r.Lifts) {
			w.line("Where the policy learnt meanwhile, a lift is the mean so far, learning included.")
		}
	}
	if len(r.Layers) > 0 && r.Layers[0].Shoppers > 0 {
		w.line("")
		w.table(func(t io.Writer) {
			fmt.Fprintln(t, "KNOWN AS FAR AS\tREACH\tSHOPPERS\tASKED FOR\tMEASURE\tPOLICY\tCONTROL\tRELATIVE\tLOW\tHIGH")
			for _, l := range r.Layers {
				head := fmt.Sprintf("%s\t%s\t%s\t%s", l.Tier, experiments.Percent(l.Reach), experiments.Count(l.Shoppers), l.Asks)
				if len(l.Lifts) == 0 {
					fmt.Fprintln(t, head)
				}
				for _, v := range l.Lifts {
					relative := "not enough data\t\t"
					if v.Relative.NotEnough == "" {
						relative = fmt.Sprintf("%s\t%s\t%s", signed(v.Relative.Estimate), signed(v.Relative.Low), signed(v.Relative.High))
					}
					fmt.Fprintf(t, "%s\t%s, %s over %s\t%s\t%s\t%s\n", head, v.Outcome, v.Measure, v.Over, b.amount(v.Measure, v.Mean), b.amount(v.Measure, v.ControlMean), relative)
					head = "\t\t\t"
				}
			}
		})
	}
	if r.Gate != nil {
		w.line("")
		w.line("Gate: %s. %s", r.Gate.State, r.Gate.Sentence)
		if p := r.Gate.Plan; p != nil && p.Median > 0 {
			w.line("Planned with a true lift of %s on %s: %s shoppers (80%%: %s to %s).", experiments.Percent(p.Lift), b.amount(r.Gate.Measure, p.Base), experiments.Count(int64(p.Median)), experiments.Count(int64(p.Low)), experiments.Count(int64(p.High)))
		}
	}
	if len(r.Arms) > 0 {
		w.line("")
		w.table(func(t io.Writer) {
			fmt.Fprintln(t, "ARM\tPOLICY\tRATE (ADAPTIVE)\tRANDOM\tRATE (UNBIASED)\tLOW\tHIGH")
			for _, a := range r.Arms {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Arm, experiments.Count(a.Policy.Trials), shown(a.Policy), experiments.Count(a.Random.Trials), shown(a.Random), low(a.Random), high(a.Random))
			}
		})
	}
	return w.err
}

func shown(r Rate) string {
	if r.Trials == 0 {
		return "–"
	}
	return experiments.Percent(r.Mean)
}

func low(r Rate) string {
	if r.Trials == 0 {
		return ""
	}
	return experiments.Percent(r.Low)
}

func high(r Rate) string {
	if r.Trials == 0 {
		return ""
	}
	return experiments.Percent(r.High)
}

func adaptive(lifts []Lift) bool {
	for _, l := range lifts {
		if l.Adaptive && (l.Group == juncture.GroupPolicy || l.Over == juncture.GroupPolicy) {
			return true
		}
	}
	return false
}

// printer writes lines until one fails.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// table aligns what f writes, without trailing blanks.
func (p *printer) table(f func(io.Writer)) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	f(t)
	_ = t.Flush() // into memory
	for line := range strings.Lines(b.String()) {
		p.line("%s", strings.TrimRight(line, " \n"))
	}
}
