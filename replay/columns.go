package replay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/juncture/juncture"
)

// Columns says which columns of a log mean what.
type Columns struct {
	Layers     [juncture.LayerCount][]string // in key order; a layer of several columns joins their values with dots
	Arm        string
	Reward     string // success when above zero
	Propensity string // the probability with which the log drew the arm; empty: it was uniform
	Value      string // money; with it the goal is value, not rate
}

// maxColumns of one layer: a layer's value has 64 bytes, and a column less than 16 says little.
const maxColumns = 4

// ParseLayers reads "moment=a+b,meaning=c".
func ParseLayers(s string) (layers [juncture.LayerCount][]string, err error) {
	for part := range strings.SplitSeq(s, ",") {
		name, columns, ok := strings.Cut(part, "=")
		l, known := juncture.ParseLayer(strings.TrimSpace(name))
		switch {
		case !ok || columns == "":
			return layers, fmt.Errorf("--layers: %q is not layer=column; write moment=col[+col...],meaning=col", part)
		case !known:
			return layers, fmt.Errorf("--layers: no layer is called %q; there are moment, meaning, trajectory and catalogue", name)
		case layers[l] != nil:
			return layers, fmt.Errorf("--layers: %s is given twice; join columns with +", l)
		}
		for c := range strings.SplitSeq(columns, "+") {
			layers[l] = append(layers[l], strings.TrimSpace(c))
		}
		if len(layers[l]) > maxColumns {
			return layers, fmt.Errorf("--layers: %s has %d columns; at most %d", l, len(layers[l]), maxColumns)
		}
	}
	return layers, nil
}

// positions of the columns in a header.
type positions struct {
	layers                         [juncture.LayerCount][]int
	arm, reward, propensity, value int // -1: not asked for
}

func (c Columns) find(header []string) (p positions, err error) {
	at := func(flag, name string) int {
		if i := slices.Index(header, name); i >= 0 {
			return i
		}
		if err == nil {
			err = fmt.Errorf("%s: the file has no column %q; it has %s", flag, name, strings.Join(header, ", "))
		}
		return -1
	}
	optional := func(flag, name string) int {
		if name == "" {
			return -1
		}
		return at(flag, name)
	}
	p.arm, p.reward = at("--arm", c.Arm), at("--reward", c.Reward)
	p.propensity, p.value = optional("--propensity", c.Propensity), optional("--value", c.Value)
	for l, names := range c.Layers {
		for _, name := range names {
			i := at("--layers", name)
			if err == nil && slices.Contains([]int{p.arm, p.reward, p.propensity, p.value}, i) {
				err = fmt.Errorf("--layers: column %q is the arm, the reward, the propensity or the value: a layer must be known before the choice", name)
			}
			p.layers[l] = append(p.layers[l], i)
		}
	}
	return p, err
}
