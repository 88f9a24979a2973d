package health

import (
	"math"
	"strconv"
	"strings"

	"github.com/juncture/juncture"
)

// Verdict is what a check says.
type Verdict string

// The verdicts.
const (
	VerdictThin     Verdict = "thin"     // not enough data to say anything
	VerdictOK       Verdict = "ok"       // nothing against it
	VerdictWatch    Verdict = "watch"    // a tenth of the evidence of a mismatch, or a p-value of ten times the level
	VerdictMismatch Verdict = "mismatch" // e >= 1/alpha, or p <= alpha
)

const (
	// Alpha is the level of a sample-ratio check: the false alarms of its whole life, however often it is looked at.
	Alpha = 0.001
	// MaxCount bounds a sum of counts: beyond it the log-gamma function's rounding would be evidence.
	MaxCount = int64(1e12)
)

// byE judges a log e-value.
func byE(logE, alpha float64) Verdict {
	switch {
	case logE >= -math.Log(alpha):
		return VerdictMismatch
	case logE >= -math.Log(10*alpha):
		return VerdictWatch
	}
	return VerdictOK
}

func byP(p, alpha float64) Verdict {
	switch {
	case p <= alpha:
		return VerdictMismatch
	case p <= 10*alpha:
		return VerdictWatch
	}
	return VerdictOK
}

// evidence is exp(logE) within 1e±300, so that it can be written as JSON and its log taken.
func evidence(logE float64) float64 {
	const most = 300 * math.Ln10
	return math.Exp(min(max(logE, -most), most))
}

// logMeanExp is log of the mean of exp(x); minus infinity for nothing.
func logMeanExp(x []float64) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	if math.IsInf(top, 0) {
		return top
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum/float64(len(x)))
}

func lgamma(x float64) float64 {
	v, _ := math.Lgamma(x)
	return v
}

func lbeta(a, b float64) float64 { return lgamma(a) + lgamma(b) - lgamma(a+b) }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func checkAlpha(alpha float64) error {
	if !(alpha > 0 && alpha < 0.1) {
		return juncture.Errorf(juncture.CodeInvalidRequest, "level %v is not over 0 and under 0.1", alpha).WithField("alpha")
	}
	return nil
}

// percent writes a share or a relative change: "4.1%", "0.42%".
func percent(x float64) string {
	digits := 1
	if math.Abs(x) < 0.0095 {
		digits = 2
	}
	return strconv.FormatFloat(100*x, 'f', digits, 64) + "%"
}

// count writes a number rounded to a whole, with thousands separators.
func count(x float64) string {
	s := strconv.FormatFloat(math.Round(x), 'f', 0, 64)
	start := 0
	if strings.HasPrefix(s, "-") {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// gap says how an observed number differs from an expected one: "4.8% fewer".
func gap(observed, expected float64) string {
	switch d := observed/expected - 1; {
	case expected <= 0:
		return "none expected"
	case d < 0:
		return percent(-d) + " fewer"
	default:
		return percent(d) + " more"
	}
}
