package layers

import (
	"fmt"
	"sync"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/moment"
	"github.com/juncture/juncture/layers/trajectory"
)

// Values remembers the distinct values of the request layers, each layer up to its bound. It is safe for concurrent use.
type Values struct {
	mu   sync.RWMutex
	seen [juncture.LayerCount]map[string]struct{}
}

// NewValues starts from the values known before.
func NewValues(known []juncture.LayerValue) *Values {
	v := &Values{}
	for i := range v.seen {
		v.seen[i] = map[string]struct{}{}
	}
	for _, k := range known {
		v.seen[k.Layer][k.Value] = struct{}{}
	}
	return v
}

// admit reports whether the value may be used, and whether it is seen for the first time.
func (v *Values) admit(l juncture.Layer, value string, most int) (ok, fresh bool) {
	v.mu.RLock()
	_, ok = v.seen[l][value]
	v.mu.RUnlock()
	if ok {
		return true, false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok = v.seen[l][value]; ok {
		return true, false
	}
	if len(v.seen[l]) >= most {
		return false, false
	}
	v.seen[l][value] = struct{}{}
	return true, true
}

// Forget takes back values that were seen for the first time and could not be written.
func (v *Values) Forget(fresh []juncture.LayerValue) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range fresh {
		delete(v.seen[f.Layer], f.Value)
	}
}

// Described is an intersection with what is to be said of each layer.
type Described struct {
	Intersection juncture.Intersection
	Views        [juncture.LayerCount]juncture.LayerView
	Fresh        []juncture.LayerValue // request values seen for the first time
	Warnings     []string
	Low          [juncture.LayerCount]bool // derived, and unknown because too little was seen

	feed bool // the category, where known, is one of the store's catalogue: there are as many as it has
}

// Trust says what a caller's new values may take of a layer's room. Values that the store knows may always be used.
type Trust int

// The trusts.
const (
	TrustAll  Trust = iota // up to the layer's bound
	TrustHalf              // up to half of it: a key that everybody can read must not fill a layer for good
	TrustNone              // nothing: what is not learnt from is described by any value, and adds none
)

// Compose makes the intersection of a call from the layers that the caller sent and those derived from the shopper's
// events, as the store's settings say; without derived ones (nil) they are unknown. A value that is malformed, or one too
// many, makes its layer unknown with a warning; it is never an error. Derived categories take room only in a store without
// products: others have those of their catalogue.
func Compose(settings map[string]juncture.LayerSetting, sent *juncture.LayerValues, derived *Described, values *Values, trust Trust) Described {
	var d Described
	for i, value := range sent.Values() {
		l := juncture.Layer(i)
		s := settings[l.String()]
		view := juncture.LayerView{Value: juncture.Unknown}
		switch {
		case s.Source != juncture.SourceRequest:
			view.Reason = "nothing observed of this shopper"
			if derived != nil {
				view, d.Low[l] = derived.Views[l], derived.Low[l]
			}
			if l == juncture.Catalogue && juncture.Known(view.Value) && !derived.feed { // whoever sends events names categories
				view = d.admit(l, view, s, values, trust)
			}
			if value != "" {
				d.Warnings = append(d.Warnings, fmt.Sprintf("layers.%s: this store derives the layer; the value sent was not used", l))
			}
		case value == "":
			view.Reason = "the caller sent none"
		case !juncture.ValidLayerValue(value):
			view.Reason = "the caller sent a malformed value"
			d.Warnings = append(d.Warnings, fmt.Sprintf("layers.%s: %.80q is not 1 to %d of [a-z0-9._-]; taken as unknown", l, value, juncture.MaxLayerValue))
		case !juncture.Known(value):
			view.Reason = "the caller does not know it"
		default:
			view = d.admit(l, juncture.LayerView{Value: value, Confidence: 1, Reason: "sent by the caller"}, s, values, trust)
		}
		d.Intersection[i], d.Views[i] = view.Value, view
	}
	return d
}

// admit returns the view with its value, or unknown where the layer has its fill of distinct ones.
func (d *Described) admit(l juncture.Layer, view juncture.LayerView, s juncture.LayerSetting, values *Values, trust Trust) juncture.LayerView {
	most := s.MaxValues
	if most == 0 {
		most = juncture.DefaultMaxValues
	}
	ok, fresh := true, false
	switch trust {
	case TrustAll:
		ok, fresh = values.admit(l, view.Value, most)
	case TrustHalf:
		most = (most + 1) / 2
		ok, fresh = values.admit(l, view.Value, most)
	}
	if !ok {
		d.Warnings = append(d.Warnings, fmt.Sprintf("layers.%s: more than the %d distinct values that this call may use; taken as unknown", l, most))
		return juncture.LayerView{Value: juncture.Unknown, Reason: "the store has its fill of distinct values"}
	}
	if fresh {
		d.Fresh = append(d.Fresh, juncture.LayerValue{Layer: l, Value: view.Value})
	}
	return view
}

// Vocabulary returns the known values of an axis in their natural order, nil where the store's own values fill it.
func Vocabulary(axis string) []string {
	if v := moment.Vocabulary(axis); v != nil {
		return v
	}
	return trajectory.Vocabulary(axis)
}
