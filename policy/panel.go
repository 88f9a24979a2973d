package policy

import "math"

// The rule of one panel: Gauss-Legendre with 8 nodes on [-1, 1] (exact to degree 15; Abramowitz and Stegun, table 25.4).
const panelNodes = 8

var panelX = [panelNodes]float64{-0.96028985649753629, -0.79666647741362673, -0.52553240991632899, -0.18343464249564981,
	0.18343464249564981, 0.52553240991632899, 0.79666647741362673, 0.96028985649753629}

var panelW = [panelNodes]float64{0.10122853629037626, 0.22238103445337448, 0.31370664587788727, 0.36268378337836199,
	0.36268378337836199, 0.31370664587788727, 0.22238103445337448, 0.10122853629037626}

// panelRight[i][j] is the integral from node i to 1 of the Lagrange polynomial of node j: a row times the values at
// the nodes is what lies right of node i. Computed with 50 digits; the test holds it to every power up to 7.
var panelRight = [panelNodes][panelNodes]float64{
	{0.050614268145188129, 0.24059292106531463, 0.30114498358382635, 0.3716498146044715, 0.35652680064170844, 0.31754199638716119, 0.22043551912525594, 0.1017835529446101},
	{-0.0082901072447323816, 0.11119051722668724, 0.34098623834945063, 0.34638436566164088, 0.37311448755665627, 0.30742713990695997, 0.22551090427527234, 0.10034293168169178},
	{0.0040534642925504974, -0.019338015540971865, 0.15685332293894363, 0.39463399010211886, 0.34594031793790964, 0.32299357760209624, 0.21792960490280466, 0.10246614768087729},
	{-0.00250250565078621, 0.0099940541566776574, -0.027635622671219957, 0.181341891689181, 0.39472586602041199, 0.29922423275544274, 0.228776663074096, 0.099510063121846556},
	{0.0017184731685297055, -0.0063956286207215406, 0.01448241312244454, -0.032042082642050024, 0.181341891689181, 0.34134226854910726, 0.21238698029669681, 0.10373104194116246},
	{-0.0012376113905010308, 0.0044514295505697996, -0.0092869317242089602, 0.016743465440452326, -0.031950206723756862, 0.15685332293894363, 0.24171904999434635, 0.097175071997825768},
	{0.00088560460868447567, -0.0031298698218978848, 0.006279505970927338, -0.010430704178294307, 0.016299417716721103, -0.027279592471563339, 0.11119051722668724, 0.10951864353510864},
	{-0.00055501665423383841, 0.001945515328118527, -0.0038353505092739047, 0.0061569827366535594, -0.0089660312261095037, 0.012561662294060949, -0.018211886611940151, 0.050614268145188129},
}

// How wide a panel may be, tuned on the golden cases and 20,000 random ones of 1 to 24 arms: the sum of the
// probabilities, which should be 1, was off by at most 3e-9.
const (
	walkDrop  = 36      // a log density is followed to this far below its peak: e^-36 = 2e-16
	walkBend  = 1.25    // width × root of the largest curvature of a log density on the panel
	walkSlope = 1.5     // width × slope of a log density at the panel's right edge, where that is the peak,
	walkFar   = 0.25    // and this much more per unit that the log density lies below its peak there
	walkBroad = 2.5     // log-odds; a broader panel needs a curvature
	walkFlat  = 1e-8    // below this
	walkRest  = 1e-13   // stop when this much mass of the maximum is left
	maxPanels = 1 << 14 // never reached: a few dozen are usual
)

// curve is one arm's posterior on the axis of a walk: log-odds for a Beta, the score for a Normal.
type curve struct {
	beta   bool
	a, b   float64 // Beta: its parameters
	centre float64 // Beta: log-odds of the mean, which is the peak on this axis; Normal: the mean
	sd     float64 // Normal: standard deviation; Beta: that of the curvature at the peak
	top    float64 // log density at the centre
	shift  float64 // Beta: log density = shift + a·y − (a+b)·softplus(y)
	left   float64 // where the log density has dropped by walkDrop, on either side
	right  float64
	mean   float64 // of what the maximum is taken of: the rate, or the score

	arm  int     // index in the caller's list
	tail float64 // mass right of the current panel
	p    float64 // probability of being the maximum, so far

	pdf, cdf, rest [panelNodes]float64
}

// stirling returns ln Γ(x) − [(x−½)·ln x − x + ½·ln 2π] (NIST DLMF 5.11.1), x > 0.
func stirling(x float64) float64 {
	if x < 10 {
		l, _ := math.Lgamma(x)
		return l - ((x-0.5)*math.Log(x) - x + 0.5*math.Log(2*math.Pi))
	}
	r := 1 / (x * x)
	return (1.0/12 - r*(1.0/360-r*(1.0/1260-r*(1.0/1680-r*(1.0/1188))))) / x
}

// setBeta places Beta(a, b) on the log-odds axis, where its density is e^(a·y) / ((1+e^y)^(a+b)·B(a,b)): log-concave,
// peaked at ln(a/b), without the end-point singularities of Beta(½, ½). The normalising constant comes from Stirling
// remainders, because differences of large ln Γ lose what a million trials need.
func (c *curve) setBeta(arm int, a, b float64) {
	n := a + b
	*c = curve{beta: true, arm: arm, a: a, b: b, centre: math.Log(a) - math.Log(b), mean: a / n, sd: math.Sqrt(n / a / b)}
	c.top = 0.5*math.Log(a/n*b/(2*math.Pi)) - (stirling(a) + stirling(b) - stirling(n))
	c.shift = c.top - a*c.centre + n*softplus(c.centre)
	c.right = c.centre + reach(a, b, walkDrop)
	c.left = c.centre - reach(b, a, walkDrop)
}

func (c *curve) setNormal(arm int, mean, sd float64) {
	*c = curve{arm: arm, centre: mean, mean: mean, sd: sd}
	c.top = -math.Log(sd * math.Sqrt(2*math.Pi))
	c.left, c.right = mean-math.Sqrt(2*walkDrop)*sd, mean+math.Sqrt(2*walkDrop)*sd
}

func softplus(y float64) float64 { return math.Max(y, 0) + math.Log1p(math.Exp(-math.Abs(y))) }

// fall returns how far the log density of Beta(a, b) on log-odds lies below its peak at a distance t to its right.
func fall(a, b, t float64) float64 {
	n := a + b
	if a > b { // measured from the other end, so that 1 − a/n never cancels
		return n*math.Log1p(b/n*math.Expm1(-t)) + b*t
	}
	if t > 30 {
		return n*math.Log(a/n+b/n*math.Exp(-t)) + b*t
	}
	return n*math.Log1p(a/n*math.Expm1(t)) - a*t
}

// reach returns a t with fall(a, b, t) at least drop and little more. Newton on a convex function: a step from inside
// lands outside, the next ones come back without crossing.
func reach(a, b, drop float64) float64 {
	t := math.Sqrt(2 * drop * (a + b) / a / b)
	for range 64 { // 3 as a rule; where a is tiny beside b, one for each unit by which the first overshot
		d := fall(a, b, t)
		if d >= drop && d < drop+1 {
			break
		}
		e := math.Exp(-t)
		t += (drop - d) * (a + b*e) / (a * b * (1 - e))
	}
	return t
}

// density fills pdf at the nodes y, whose softplus is sp.
func (c *curve) density(y, sp *[panelNodes]float64) {
	n := c.a + c.b
	switch {
	case !c.beta:
		for i := range y {
			z := (y[i] - c.centre) / c.sd
			c.pdf[i] = math.Exp(c.top - 0.5*z*z)
		}
	case n < 1e6:
		for i := range y {
			c.pdf[i] = math.Exp(c.shift + c.a*y[i] - n*sp[i])
		}
	default: // the terms of the line above would cancel to fewer digits than are asked for
		for i := range y {
			if t := y[i] - c.centre; t >= 0 {
				c.pdf[i] = math.Exp(c.top - fall(c.a, c.b, t))
			} else {
				c.pdf[i] = math.Exp(c.top - fall(c.b, c.a, -t))
			}
		}
	}
}

// accumulate fills cdf at the nodes of a panel of half width half from pdf and the mass to its right.
func (c *curve) accumulate(half float64) {
	f := &c.pdf
	for i := range panelRight {
		r := &panelRight[i]
		s := r[0]*f[0] + r[1]*f[1] + r[2]*f[2] + r[3]*f[3] + r[4]*f[4] + r[5]*f[5] + r[6]*f[6] + r[7]*f[7]
		c.cdf[i] = math.Max(0, 1-(c.tail+half*s))
	}
	w := &panelW
	c.tail += half * (w[0]*f[0] + w[1]*f[1] + w[2]*f[2] + w[3]*f[3] + w[4]*f[4] + w[5]*f[5] + w[6]*f[6] + w[7]*f[7])
}
