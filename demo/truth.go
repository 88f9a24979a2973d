package demo

import (
	_ "embed"
	"math"
	"strings"

	"github.com/juncture/juncture"
)

//go:embed store.yaml
var storeFile string

// StoreFile is the shop's store file.
func StoreFile() []byte { return []byte(storeFile) }

// Names in the store file.
const (
	Experiment = "hero"
	Surface    = "home_hero"
	Click      = "click"
	Purchase   = "purchase"
	Currency   = "GBP"
)

// Rate is the true share of decisions, in [0, 1], that are clicked when an arm is shown at an intersection; 0 for no arm.
// On the log-odds it is a sum: how ready a shopper is at this lifecycle and status, what the action means to this
// lifecycle, status, mode and cluster, and what the copy adds.
func Rate(x juncture.Intersection, arm juncture.Arm) float64 {
	if arm.Action == "" {
		return 0
	}
	return 1 / (1 + math.Exp(-(readiness(x) + appeal(x, arm.Action) + wording(x, arm.Copy))))
}

// Actions lists the shop's actions in the order of its store file.
func Actions() []string {
	return []string{"welcome", "five_off", "free_express", "loyalty_points", "style_guide", "compare", "back_in_stock", "bundle"}
}

// BestAction is the action with the highest true rate at an intersection, each in its plain copy.
func BestAction(x juncture.Intersection) string {
	best, most := "", math.Inf(-1)
	for _, a := range Actions() {
		if v := appeal(x, a); v > most {
			best, most = a, v
		}
	}
	return best
}

// readiness is the log-odds of a click on an action that means nothing to the shopper: rates of 2% to 6%.
func readiness(x juncture.Intersection) float64 {
	lifecycle := map[string]float64{prospect: -3.5, firstTime: -3.3, returning: -3.15, loyal: -3}
	status := map[string]float64{browsing: 0, cartAbandoned: 0.15, checkoutAbandoned: 0.2, freshlyConverted: 0.05, atRisk: -0.05, dormant: -0.3}
	trajectory := map[string]float64{"rising": 0.15, "falling": -0.15}
	moment := strings.SplitN(x[juncture.Moment], ".", 3)
	return lifecycle[moment[0]] + status[x.Axis(juncture.Moment, 1)] + trajectory[x.Axis(juncture.Trajectory, 1)]
}

// appeal is what an action adds to the log-odds here.
func appeal(x juncture.Intersection, action string) float64 {
	v := 0.0
	for _, of := range []string{x.Axis(juncture.Moment, 0), x.Axis(juncture.Moment, 1), x.Axis(juncture.Moment, 2), x.Value(juncture.Meaning)} {
		v += effects(of)[action]
	}
	return v
}

// effects on the log-odds of the actions that mean something to shoppers with this value of an axis.
func effects(value string) map[string]float64 {
	switch value {
	case prospect:
		return map[string]float64{"five_off": 0.3, "style_guide": 0.2, "loyalty_points": -0.5, "back_in_stock": -0.2}
	case firstTime:
		return map[string]float64{"free_express": 0.2, "bundle": 0.15, "loyalty_points": -0.1}
	case returning:
		return map[string]float64{"back_in_stock": 0.4, "compare": 0.1}
	case loyal:
		return map[string]float64{"loyalty_points": 0.6, "five_off": -0.5, "style_guide": 0.1}
	case browsing:
		return map[string]float64{"style_guide": 1.1, "back_in_stock": 0.3, "welcome": 0.2}
	case cartAbandoned:
		return map[string]float64{"free_express": 1.4, "five_off": 0.3, "compare": 0.2}
	case checkoutAbandoned:
		return map[string]float64{"five_off": 1.4, "free_express": 0.5, "loyalty_points": 0.1}
	case freshlyConverted:
		return map[string]float64{"bundle": 1.5, "loyalty_points": 0.2, "five_off": -0.4}
	case atRisk:
		return map[string]float64{"loyalty_points": 0.9, "back_in_stock": 0.7, "five_off": 0.3}
	case dormant:
		return map[string]float64{"five_off": 1.1, "back_in_stock": 0.4, "loyalty_points": 0.2, "bundle": -0.2}
	case researching:
		return map[string]float64{"style_guide": 0.3, "compare": -0.1}
	case considering:
		return map[string]float64{"compare": 0.5, "free_express": 0.15, "style_guide": -0.2}
	case fashionistas:
		return map[string]float64{"style_guide": 0.25, "five_off": -0.3, "back_in_stock": 0.1}
	case streetwear:
		return map[string]float64{"back_in_stock": 0.3, "style_guide": 0.1}
	case bargainHunters:
		return map[string]float64{"five_off": 0.45, "free_express": 0.15, "style_guide": -0.2}
	case minimalists:
		return map[string]float64{"compare": 0.25, "bundle": -0.1}
	case occasionWear:
		return map[string]float64{"free_express": 0.3, "bundle": 0.2}
	}
	return nil
}

// wording is what the copy adds to the log-odds: voiced copy speaks to its own.
func wording(x juncture.Intersection, copyID string) float64 {
	switch {
	case copyID == "milan" && x.Value(juncture.Meaning) == fashionistas, copyID == "street" && x.Value(juncture.Meaning) == streetwear:
		return 0.25
	case copyID == "urgent" && x.Axis(juncture.Moment, 1) == checkoutAbandoned:
		return 0.1
	case copyID == "urgent":
		return -0.05
	case copyID == "personal":
		return 0.08
	}
	return 0
}
