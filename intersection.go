package juncture

import (
	"strings"
)

// Unknown is the value of a layer, or of one axis of a layer, without evidence.
const Unknown = "_"

// Layer is one of the four descriptions of a shopper, in the order of the key.
type Layer int

// The layers, from the broadest to the narrowest.
const (
	Moment Layer = iota
	Meaning
	Trajectory
	Catalogue
	LayerCount = 4
)

var layerNames = [LayerCount]string{"moment", "meaning", "trajectory", "catalogue"}

func (l Layer) String() string { return layerNames[l] }

// Layers lists the four in key order.
func Layers() [LayerCount]Layer { return [LayerCount]Layer{Moment, Meaning, Trajectory, Catalogue} }

// ParseLayer is the inverse of String.
func ParseLayer(name string) (Layer, bool) {
	for i, n := range layerNames {
		if n == name {
			return Layer(i), true
		}
	}
	return 0, false
}

// Axes returns the names of the layer's axes; the dots of a value separate them.
func (l Layer) Axes() []string {
	switch l {
	case Moment:
		return []string{"lifecycle", "status", "mode"}
	case Meaning:
		return []string{"meaning"}
	case Trajectory:
		return []string{"latent", "live"}
	default:
		return []string{"category"}
	}
}

// MaxLayerValue is the longest layer value, in bytes.
const MaxLayerValue = 64

// ValidLayerValue reports whether v is 1 to 64 characters of [a-z0-9._-].
func ValidLayerValue(v string) bool {
	if v == "" || len(v) > MaxLayerValue {
		return false
	}
	for i := range len(v) {
		c := v[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// Known reports whether a layer value says anything: not "_", and not "_" on every axis.
func Known(v string) bool {
	for axis := range strings.SplitSeq(v, ".") {
		if axis != Unknown {
			return true
		}
	}
	return false
}

// Intersection is the four layer values together, in key order. An empty value counts as Unknown.
type Intersection [LayerCount]string

// keyVersion opens every key, so that a later grammar can stand beside this one.
const keyVersion = "v1"

// Key is the canonical text: v1/<moment>/<meaning>/<trajectory>/<catalogue>. Values cannot contain the slash.
func (x Intersection) Key() string {
	var b strings.Builder
	b.Grow(96)
	b.WriteString(keyVersion)
	for _, v := range x {
		b.WriteByte('/')
		if v == "" {
			v = Unknown
		}
		b.WriteString(v)
	}
	return b.String()
}

func (x Intersection) String() string { return x.Key() }

// ParseIntersection reads a canonical key. The error is CodeInvalidRequest.
func ParseIntersection(key string) (Intersection, error) {
	var x Intersection
	rest, ok := strings.CutPrefix(key, keyVersion+"/")
	if !ok {
		return x, Errorf(CodeInvalidRequest, "intersection key %.80q does not begin with %q", key, keyVersion+"/")
	}
	for i := range x {
		v, tail, more := strings.Cut(rest, "/")
		if more == (i == LayerCount-1) {
			return x, Errorf(CodeInvalidRequest, "intersection key %.80q needs four parts after %q", key, keyVersion)
		}
		if !ValidLayerValue(v) {
			return x, Errorf(CodeInvalidRequest, "%s value %.80q is not 1 to %d of [a-z0-9._-]", Layer(i), v, MaxLayerValue)
		}
		x[i], rest = v, tail
	}
	return x, nil
}

// Axis returns the value of one axis of a layer by its position; Unknown where the value has fewer axes.
func (x Intersection) Axis(l Layer, axis int) string {
	for v := range strings.SplitSeq(x[l], ".") {
		if axis == 0 && v != "" {
			return v
		}
		axis--
	}
	return Unknown
}

// Value returns a layer's value, Unknown where it is empty.
func (x Intersection) Value(l Layer) string {
	if x[l] == "" {
		return Unknown
	}
	return x[l]
}

// AxisNamed returns the value of an axis ("lifecycle") or of a whole layer ("moment") by name; false for no such name.
func (x Intersection) AxisNamed(name string) (string, bool) {
	for _, l := range Layers() {
		axes := l.Axes()
		if l.String() == name || len(axes) == 1 && axes[0] == name { // a layer of one axis keeps its dots
			return x.Value(l), true
		}
		for i, a := range axes {
			if a == name {
				return x.Axis(l, i), true
			}
		}
	}
	return "", false
}

// AxisNames lists every axis in key order.
func AxisNames() []string {
	var out []string
	for _, l := range Layers() {
		out = append(out, l.Axes()...)
	}
	return out
}

// Tier says how specific the evidence used is, from everybody to the full intersection.
type Tier int

// The tiers, cumulative: TierMeaning uses moment and meaning.
const (
	TierStore Tier = iota
	TierMoment
	TierMeaning
	TierTrajectory
	TierFull
)

var tierNames = [...]string{"store", "moment", "meaning", "trajectory", "full"}

func (t Tier) String() string { return tierNames[t] }

// ParseTier is the inverse of String.
func ParseTier(name string) (Tier, bool) {
	for i, n := range tierNames {
		if n == name {
			return Tier(i), true
		}
	}
	return 0, false
}

// Tier is the deepest whose layers are all known.
func (x Intersection) Tier() Tier {
	t := TierStore
	for _, v := range x {
		if v == "" || !Known(v) {
			break
		}
		t++
	}
	return t
}

// Ceiling returns the intersection with every layer beyond the tier made Unknown.
func (x Intersection) Ceiling(t Tier) Intersection {
	for i := range x {
		if i >= int(t) || x[i] == "" {
			x[i] = Unknown
		}
	}
	return x
}

// Rungs returns the ladder of ever narrower prefixes that end at x, broadest first: the store (all Unknown), then one
// per known layer. The last equals x with its unknown layers spelt Unknown.
func (x Intersection) Rungs() []Intersection {
	rungs := make([]Intersection, 1, LayerCount+1)
	cur := Intersection{Unknown, Unknown, Unknown, Unknown}
	rungs[0] = cur
	for i, v := range x {
		if v != "" && Known(v) {
			cur[i] = v
			rungs = append(rungs, cur)
		}
	}
	return rungs
}
