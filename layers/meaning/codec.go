package meaning

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/juncture/juncture"
)

const modelVersion = 1

// maxDim bounds the vocabulary of a stored model.
const maxDim = 1 << 16

// stored is the form of a model in JSON.
type stored struct {
	Version  int             `json:"version"`
	Space    *Space          `json:"space"`
	Clusters []storedCluster `json:"clusters"`
	Retired  []string        `json:"retired,omitempty"`
	Shoppers int             `json:"shoppers"`
	Trials   []Trial         `json:"trials,omitempty"`
}

type storedCluster struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Auto    string    `json:"auto,omitempty"` // where it differs from the name
	Renamed bool      `json:"renamed,omitempty"`
	Size    int       `json:"size"`
	Top     []string  `json:"top"`
	Voice   *Voice    `json:"voice,omitempty"`
	Dims    []int32   `json:"dims"`
	Weights []float32 `json:"weights"`
}

// MarshalJSON writes the model with its vocabulary.
func (m *Model) MarshalJSON() ([]byte, error) {
	out := stored{Version: modelVersion, Space: m.Space, Retired: m.Retired, Shoppers: m.Shoppers, Trials: m.Trials, Clusters: []storedCluster{}}
	for _, c := range m.Clusters {
		s := storedCluster{ID: c.ID, Name: c.Name, Renamed: c.Renamed, Size: c.Size, Top: c.Top}
		if c.Auto != c.Name {
			s.Auto = c.Auto
		}
		if c.Voice.Tone != "" || len(c.Voice.Use) > 0 || len(c.Voice.Avoid) > 0 {
			s.Voice = &c.Voice
		}
		for _, w := range c.Centroid {
			s.Dims, s.Weights = append(s.Dims, w.Dim), append(s.Weights, w.Weight)
		}
		out.Clusters = append(out.Clusters, s)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote and refuses anything else.
func (m *Model) UnmarshalJSON(b []byte) error {
	var in stored
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("meaning: model: %w", err)
	}
	if in.Version != modelVersion {
		return fmt.Errorf("meaning: model of version %d; this program reads %d", in.Version, modelVersion)
	}
	if in.Space == nil || len(in.Clusters) > MaxClusters {
		return errors.New("meaning: model without a space, or with too many clusters")
	}
	out := Model{Space: in.Space, Retired: in.Retired, Shoppers: in.Shoppers, Trials: in.Trials}
	ids := map[string]bool{}
	for _, id := range in.Retired {
		ids[id] = true
	}
	for _, s := range in.Clusters {
		c := Cluster{ID: s.ID, Name: s.Name, Renamed: s.Renamed, Size: s.Size, Top: s.Top}
		if c.Auto = s.Auto; c.Auto == "" && !c.Renamed {
			c.Auto = c.Name
		}
		if s.Voice != nil {
			c.Voice = *s.Voice
		}
		if !juncture.ValidLayerValue(c.ID) || !juncture.Known(c.ID) || ids[c.ID] {
			return fmt.Errorf("meaning: cluster id %.80q is malformed, doubled or retired", c.ID)
		}
		ids[c.ID] = true
		if len(s.Dims) != len(s.Weights) {
			return fmt.Errorf("meaning: cluster %s has %d dimensions and %d weights", c.ID, len(s.Dims), len(s.Weights))
		}
		sum := 0.0
		for i, d := range s.Dims {
			w := s.Weights[i]
			if d < 0 || int(d) >= in.Space.Dim() || i > 0 && d <= s.Dims[i-1] || !(w >= 0 && w <= 1.0001) {
				return fmt.Errorf("meaning: cluster %s has an impossible centroid", c.ID)
			}
			sum += float64(w) * float64(w)
			c.Centroid = append(c.Centroid, Weighted{d, w})
		}
		if math.Abs(sum-1) > 1e-3 {
			return fmt.Errorf("meaning: cluster %s has a centroid of squared length %g, not 1", c.ID, sum)
		}
		out.Clusters = append(out.Clusters, c)
	}
	out.index()
	*m = out
	return nil
}

// check refuses a vocabulary that NewSpace cannot have made.
func (s *Space) check() error {
	if len(s.Attributes) > maxDim || s.Products < 0 || len(s.Cuts) != 0 && len(s.Cuts) != len(bands())-1 {
		return errors.New("meaning: an impossible vocabulary")
	}
	keys := make(map[uint64]bool, len(s.Attributes))
	for _, a := range s.Attributes {
		if a.Kind < KindCategory || a.Kind > KindWord || !(a.IDF >= 0 && a.IDF <= 100) || !(a.Place >= 0 && a.Place <= 1) || keys[a.Key] {
			return fmt.Errorf("meaning: an impossible attribute %.80q", a.Value)
		}
		keys[a.Key] = true
	}
	return nil
}

// UnmarshalJSON reads a vocabulary that was stored on its own.
func (s *Space) UnmarshalJSON(b []byte) error {
	type plain Space
	var in plain
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("meaning: vocabulary: %w", err)
	}
	out := Space(in)
	if err := out.check(); err != nil {
		return err
	}
	out.index()
	*s = out
	return nil
}
