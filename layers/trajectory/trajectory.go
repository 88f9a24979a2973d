// Package trajectory is the third layer: latent intent, which drifts over weeks, and live intent, which rises and dips
// inside a session, each with its direction.
package trajectory

// Latent intent.
const (
	Low      = "low"
	Building = "building"
	High     = "high"
	Fading   = "fading"
)

// Live intent.
const (
	None    = "none"
	Rising  = "rising"
	Steady  = "steady"
	Falling = "falling"
)

// Vocabulary returns the known values of an axis in order, nil for an axis that is not trajectory's.
func Vocabulary(axis string) []string {
	switch axis {
	case "latent":
		return []string{Low, Building, High, Fading}
	case "live":
		return []string{None, Rising, Steady, Falling}
	}
	return nil
}
