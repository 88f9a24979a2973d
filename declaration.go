package juncture

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Declaration is what a store says of itself: the store file, decoded. See docs/design.md section 12.
type Declaration struct {
	Store       StoreInfo               `json:"store"`
	Layers      map[string]LayerSetting `json:"layers,omitempty"` // by layer name; a missing one is derived
	Outcomes    []OutcomeType           `json:"outcomes,omitempty"`
	Surfaces    []Surface               `json:"surfaces,omitempty"`
	Actions     []Action                `json:"actions,omitempty"`
	Experiments []Experiment            `json:"experiments,omitempty"`
	Holdouts    []Holdout               `json:"holdouts,omitempty"`
	Priorities  []Priority              `json:"priorities,omitempty"`
	Editorial   []Editorial             `json:"editorial,omitempty"`
	Traffic     *Traffic                `json:"traffic,omitempty"` // who is no shopper; nil means the defaults
	Context     []string                `json:"context,omitempty"` // context keys that are kept; empty keeps all
	Guardrails  *Guardrails             `json:"guardrails,omitempty"`
	Pressure    *Pressure               `json:"pressure,omitempty"` // of all surfaces together

	// CopyOrder is the order of each action's copy as last declared; it is derived, never written in a store file.
	CopyOrder map[string][]string `json:"copyOrder,omitempty"`

	// Phases are the shares that an experiment, or a holdout, had before they, or whether it is in shadow, changed after its start, the first ones first: one
	// entry for each phase that has ended. It is derived too.
	Phases map[string][]GroupShares `json:"phases,omitempty"`
	// Shipped is, by surface, the winner that became its default; derived too, as Tripped is: by experiment, the guard
	// that took it back to the default, and Resets: when it was last reset.
	Shipped map[string]Shipment  `json:"shipped,omitempty"`
	Tripped map[string]Trip      `json:"tripped,omitempty"`
	Resets  map[string]time.Time `json:"resets,omitempty"`

	// Terms are those of each action, as it last declared them; Holds what keeps "action", "action/copy" or "priority id"
	// back; Kills the switches that are on. All are derived.
	Terms map[string]Terms `json:"terms,omitempty"`
	Holds map[string]Hold  `json:"holds,omitempty"`
	Kills map[string]Kill  `json:"kills,omitempty"`
}

// StoreInfo names the store. One database is one store.
type StoreInfo struct {
	Name     string `json:"name"`
	Currency string `json:"currency"` // ISO 4217; money outcomes in another currency are refused

	SelfApproval bool `json:"selfApproval,omitempty"` // people may approve what they wrote; each time is recorded as a bypass
}

// Where a layer's value comes from.
const (
	SourceDerived = "derived" // from the shopper's events
	SourceRequest = "request" // sent by the caller
)

// DefaultMaxValues bounds the distinct values of a request layer.
const DefaultMaxValues = 1000

// LayerSetting says where a layer comes from, and by which thresholds a derived one is read. Of the thresholds zero
// means the layer's default (docs/design.md section 3); each belongs to the layers named.
type LayerSetting struct {
	Source    string `json:"source"`              // derived (default) or request
	MaxValues int    `json:"maxValues,omitempty"` // distinct values kept, of a request layer and, in a store without products, of the catalogue; 0 means DefaultMaxValues

	MinConfidence float64  `json:"minConfidence,omitempty"` // any: below it the layer is unknown; in [0, 1]
	HalfLife      Duration `json:"halfLife,omitempty"`      // meaning: of a taste; catalogue: of the interest in a category
	Clusters      int      `json:"clusters,omitempty"`      // meaning: how many; 0 means chosen by what foretells best
	Refit         Duration `json:"refit,omitempty"`         // meaning: how often tastes are learnt again; 0 means daily
	Dormant       Duration `json:"dormant,omitempty"`       // moment, from here on
	AbandonAfter  Duration `json:"abandonAfter,omitempty"`
	AbandonFor    Duration `json:"abandonFor,omitempty"`
	Fresh         Duration `json:"fresh,omitempty"`
	AtRiskGaps    float64  `json:"atRiskGaps,omitempty"`
	AtRiskOrders  int      `json:"atRiskOrders,omitempty"`
	LoyalOrders   int      `json:"loyalOrders,omitempty"`
	LoyalValue    float64  `json:"loyalValue,omitempty"` // in currency units
	VIPValue      float64  `json:"vipValue,omitempty"`
}

// Types of outcome.
const (
	OutcomeBinary = "binary" // it happened; value 1 (or 0: it did not)
	OutcomeMoney  = "money"  // an amount in the store's currency
)

// How several outcomes of one name on one decision make one figure.
const (
	CountFirst = "first" // the earliest by occurredAt, then outcomeId (default of binary)
	CountSum   = "sum"   // all of them (default of money)
	CountLast  = "last"
)

// OutcomeType registers an outcome.
type OutcomeType struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Bound  float64  `json:"bound,omitempty"`  // hard bound of |value| of money, in currency units; 0 means DefaultBound
	Cap    float64  `json:"cap,omitempty"`    // learning counts at most this much per decision; 0 means no cap
	Count  string   `json:"count,omitempty"`  // first, sum, last; empty means by type
	Window Duration `json:"window,omitempty"` // 0 means the experiment's
	From   string   `json:"from,omitempty"`   // the tracked event that tells it, by name; empty: only /reward does
	Scope  string   `json:"scope,omitempty"`  // where it can come from; empty means by name
}

// Scopes of an outcome.
const (
	ScopeStore   = "store"   // it exists without the surface, such as an order: a holdout has it too
	ScopeSurface = "surface" // it needs something to have been shown, such as a click
)

// Everywhere reports whether the outcome exists without the surface: by its scope, else by its name.
func (o OutcomeType) Everywhere() bool {
	if o.Scope != "" {
		return o.Scope == ScopeStore
	}
	return !slices.Contains([]string{"click", "open", "view", "impression", "dismiss", "hover", "play"}, o.Name)
}

// OrderEvent is the From of outcomes that orders tell, whichever vocabulary they come in, their refunds and cancellations
// included.
const OrderEvent = "Order Completed"

// OfOrders reports whether orders tell the outcome.
func (o OutcomeType) OfOrders() bool { return plainName(o.From) == plainName(OrderEvent) }

// Told reports whether an event of this name tells the outcome. Case, spaces and punctuation do not count.
func (o OutcomeType) Told(event string) bool {
	name := plainName(event)
	return name != "" && name == plainName(o.From)
}

func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// DefaultBound of money outcomes, in currency units.
const DefaultBound = 1_000_000

// Counting returns how the outcome counts, its default filled in.
func (o OutcomeType) Counting() string {
	if o.Count == "" && o.Type == OutcomeMoney {
		return CountSum
	}
	return cmp.Or(o.Count, CountFirst)
}

// Limit returns the hard bound of |value|.
func (o OutcomeType) Limit() float64 {
	if o.Type == OutcomeBinary {
		return 1
	}
	return cmp.Or(o.Bound, DefaultBound)
}

// Channels of a surface.
var channels = []string{"onsite", "email", "sms", "push", "app"}

// Surface is a named place that asks for decisions.
type Surface struct {
	ID          string `json:"id"`
	Channel     string `json:"channel"`               // onsite, email, sms, push, app
	Default     string `json:"default,omitempty"`     // an action's id; its first copy is what bau and trouble show
	DefaultCopy string `json:"defaultCopy,omitempty"` // instead of the first
	Ceiling     string `json:"ceiling,omitempty"`     // the most specific tier used here: store, moment, meaning, full (default)
}

// CeilingTier returns the ceiling, TierFull where none is set.
func (s Surface) CeilingTier() Tier {
	if t, ok := ParseTier(s.Ceiling); ok {
		return t
	}
	return TierFull
}

// Action is what may be done at its surfaces. Its copy is versioned apart from it.
type Action struct {
	ID       string         `json:"id"`
	Surfaces []string       `json:"surfaces"`
	Type     string         `json:"type"`
	Payload  map[string]any `json:"payload,omitempty"`
	Rule     string         `json:"rule,omitempty"` // an expr-lang expression; empty means always eligible

	Slots     int      `json:"slots,omitempty"`     // products that it shows
	Products  []string `json:"products,omitempty"`  // that come first in the slots; eligible only while one may be sold
	From      []string `json:"from,omitempty"`      // what may fill the other slots (Sources); empty: all
	Editorial int      `json:"editorial,omitempty"` // pieces that it shows

	Terms

	Copy []Copy `json:"copy,omitempty"`
}

// Copy is the words of an action.
type Copy struct {
	ID       string   `json:"id"`
	Headline string   `json:"headline"`
	Body     string   `json:"body,omitempty"`
	CTA      string   `json:"cta,omitempty"`
	Voice    []string `json:"voice,omitempty"` // meaning values or tiers it is written for; empty is broad
}

// Hash is the content hash that an approval binds to; an action's copy and its terms are not part of it.
func (a Action) Hash() string { return contentHash(a.Content()) }

// Content is the action without its copy and its terms: what a version of it holds.
func (a Action) Content() Action { a.Copy, a.Terms = nil, Terms{}; return a }

// Hash is the content hash that an approval binds to.
func (c Copy) Hash() string { return contentHash(c) }

func contentHash(v any) string {
	b, err := json.Marshal(v) // map keys are sorted
	if err != nil {
		panic(fmt.Sprintf("juncture: content that cannot be JSON: %v", err)) // declarations are decoded from JSON or YAML scalars
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// Statuses of an experiment.
const (
	StatusDraft   = "draft"
	StatusRunning = "running"
	StatusPaused  = "paused"
	StatusStopped = "stopped"
)

// Stickiness of an experiment.
const (
	StickyNone    = "none"
	StickySession = "session" // default of onsite and app
	StickyWindow  = "window"
)

// Experiment is a surface learning towards a goal, with its groups, reward window and dates.
type Experiment struct {
	ID         string             `json:"id"`
	Surface    string             `json:"surface"`
	Goal       Goal               `json:"goal"`
	Groups     GroupShares        `json:"groups"`
	Traffic    *float64           `json:"traffic,omitempty"` // share of shoppers in the experiment, 0 to 1; nil means 1
	Floor      *float64           `json:"floor,omitempty"`   // total uniform mass ε; nil means DefaultFloor
	Floors     map[string]float64 `json:"floors,omitempty"`  // least probability of an action, or of action/copy, where it is eligible
	Nudges     []Nudge            `json:"nudges,omitempty"`  // of merchandisers: what is to be shown more, or less, for a time
	Policy     string             `json:"policy,omitempty"`  // empty means pooled
	Learning   *Learning          `json:"learning,omitempty"`
	Stickiness string             `json:"stickiness,omitempty"`
	Shadow     bool               `json:"shadow,omitempty"` // the policy decides and logs, the surface's default is served (statistics A.5)
	Status     string             `json:"status"`
	Starts     *time.Time         `json:"starts,omitempty"`
	Ends       *time.Time         `json:"ends,omitempty"`
	Gate       *Gate              `json:"gate,omitempty"`      // when its policy is to be expanded
	Horizon    Duration           `json:"horizon,omitempty"`   // how long after enrolment a shopper's outcomes count in lifts; 0 means the goal's window, at least a day
	Tags       []string           `json:"tags,omitempty"`      // by which holdouts name it
	Namespace  string             `json:"namespace,omitempty"` // experiments of one namespace share no shopper, as far as their slices are apart
	Slice      *Slice             `json:"slice,omitempty"`     // of the namespace's shoppers
	Guards     []Guard            `json:"guards,omitempty"`    // outcomes that must not become worse

	Attribution         string   `json:"attribution,omitempty"`         // of what comes for a shopper: last (default), linear or time-decay
	AttributionHalfLife Duration `json:"attributionHalfLife,omitempty"` // of a touch's credit, time-decay; 0 means DefaultAttributionHalfLife
}

// How an outcome that comes for a shopper is credited to their eligible touches: decisions of the experiment that are
// trials and whose window is open when it happens (statistics A.8).
const (
	AttributionLast      = "last"       // all to the latest
	AttributionLinear    = "linear"     // to each alike
	AttributionTimeDecay = "time-decay" // to each 2^(−age/half-life), normalised
)

// DefaultAttributionHalfLife of time-decay.
const DefaultAttributionHalfLife = 7 * 24 * time.Hour

// CreditHalfLife returns the half-life of a touch's credit, its default filled in.
func (e Experiment) CreditHalfLife() time.Duration {
	return time.Duration(cmp.Or(e.AttributionHalfLife, Duration(DefaultAttributionHalfLife)))
}

// Gate is when an experiment's policy is to be expanded (statistics E.8): decided at whole weeks, by a sequential interval of
// the relative lift over the holdout, else over bau, else over random.
type Gate struct {
	Outcome   string  `json:"outcome,omitempty"`  // whose lift; empty means the goal's main one
	Measure   string  `json:"measure,omitempty"`  // rate (default) or, of money, value
	Threshold float64 `json:"threshold"`          // relative lift, such as 0.3
	Rule      string  `json:"rule,omitempty"`     // lower, or estimate (default): the lower bound over 0 and the estimate at the threshold
	MinWeeks  int     `json:"minWeeks,omitempty"` // 0 means 4
	MaxWeeks  int     `json:"maxWeeks,omitempty"` // 0 means 8
	Lift      float64 `json:"lift,omitempty"`     // the true lift that is planned with, never the one observed; 0 means 4/3 of the threshold
}

// Rules of a Gate.
const (
	GateLower    = "lower"
	GateEstimate = "estimate"
)

// Slice is a part of a namespace's shoppers, both ends in [0, 1].
type Slice struct {
	From float64 `json:"from"`
	To   float64 `json:"to"` // exclusive
}

// The policies of an experiment. PolicyPooled is the default.
const (
	PolicyPooled  = "pooled"         // every intersection with a prior from the lattice around it
	PolicyUniform = "uniform"        // every eligible arm alike
	PolicyFixed   = "fixed"          // a split that evidence does not move
	PolicyGlobal  = "global"         // one Thompson bandit for the store
	PolicyFlat    = "flat"           // a Thompson bandit at every intersection by itself
	PolicyGreedy  = "epsilon-greedy" // the best mean of the store, and the rest evenly
)

// Policies lists them.
func Policies() []string {
	return []string{PolicyPooled, PolicyUniform, PolicyFixed, PolicyGlobal, PolicyFlat, PolicyGreedy}
}

// Pooled reports whether a policy's name is that of the pooled one.
func Pooled(policy string) bool { return policy == "" || policy == PolicyPooled }

// Learning is how an experiment's policy learns; each setting belongs to the policies named, and zero means the default.
type Learning struct {
	HalfLife Duration           `json:"halfLife,omitempty"` // pooled: of evidence; 180d
	Draw     string             `json:"draw,omitempty"`     // pooled: tempered (default) or full
	Temper   float64            `json:"temper,omitempty"`   // pooled: of the draw's standard deviation; 0.5
	Epsilon  float64            `json:"epsilon,omitempty"`  // epsilon-greedy: what is spread evenly; 0.1
	Split    map[string]float64 `json:"split,omitempty"`    // fixed: the share of each action
}

// Nudge is a merchandiser's wish to have an action shown more, or less, than its evidence says (statistics C.3).
type Nudge struct {
	Action  string     `json:"action"`
	Factor  float64    `json:"factor"`        // on its weight before the floor: 0.5 to 2
	Owner   string     `json:"owner"`         // who answers for it
	Why     string     `json:"why,omitempty"` // "new drop", "overstock"
	Starts  *time.Time `json:"starts,omitempty"`
	Expires time.Time  `json:"expires"` // exclusive

	Priority string `json:"priorityId,omitempty"` // that it comes of; empty: the experiment declares it
}

// Live reports whether the nudge holds at now.
func (n Nudge) Live(now time.Time) bool {
	return (n.Starts == nil || !now.Before(*n.Starts)) && now.Before(n.Expires)
}

// MaxNudges bounds the nudges that an experiment declares, and as many come of priorities at its surface; MaxFloors bounds
// the sum of its floors: beyond, evidence would hardly choose.
const (
	MaxNudges = 16
	MaxFloors = 0.5
)

// The draws of the pooled policy (statistics C.2).
const (
	DrawTempered = "tempered"
	DrawFull     = "full"
)

// DefaultFloor is ε where the experiment sets none (statistics C.4).
const DefaultFloor = 0.01

// FloorMass returns ε, its default filled in.
func (e Experiment) FloorMass() float64 {
	if e.Floor == nil {
		return DefaultFloor
	}
	return *e.Floor
}

// TrafficShare returns the share of shoppers who are in the experiment.
func (e Experiment) TrafficShare() float64 {
	if e.Traffic == nil {
		return 1
	}
	return *e.Traffic
}

// Live reports whether the experiment decides at now.
func (e Experiment) Live(now time.Time) bool {
	return e.Status == StatusRunning && (e.Starts == nil || !now.Before(*e.Starts)) && (e.Ends == nil || now.Before(*e.Ends))
}

// Goal is what an experiment maximises: an outcome, or a weighted sum of several.
type Goal struct {
	Outcome string             `json:"outcome,omitempty"`
	Weights map[string]float64 `json:"weights,omitempty"` // instead of outcome: what one of each is worth, of money a unit; below 0: less is better
	Window  Duration           `json:"window"`            // how long after the decision an outcome still counts
	Measure string             `json:"measure,omitempty"` // of a money outcome: value (default) or rate
}

// GoalPart is one outcome of a goal.
type GoalPart struct {
	Outcome string
	Weight  float64
}

// Parts are the goal's outcomes, the weightiest first: read-outs show its rate.
func (g Goal) Parts() []GoalPart {
	if len(g.Weights) == 0 {
		return []GoalPart{{g.Outcome, 1}}
	}
	out := make([]GoalPart, 0, len(g.Weights))
	for o, w := range g.Weights {
		out = append(out, GoalPart{o, w})
	}
	slices.SortFunc(out, func(a, b GoalPart) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Outcome, b.Outcome))
	})
	return out
}

// Main is the outcome whose rate read-outs show.
func (g Goal) Main() string { return g.Parts()[0].Outcome }

// Counts reports whether an outcome is learnt from.
func (g Goal) Counts(outcome string) bool {
	_, weighs := g.Weights[outcome]
	return weighs || len(g.Weights) == 0 && g.Outcome == outcome
}

// MaxWeights bounds the outcomes of a goal: each has posteriors of its own.
const MaxWeights = 8

// Measures of a money goal.
const (
	MeasureValue = "value"
	MeasureRate  = "rate"
)

// GroupShares is how an experiment splits its shoppers; the shares sum to 1.
type GroupShares struct {
	Policy  float64 `json:"policy"`
	Random  float64 `json:"random"`
	BAU     float64 `json:"bau"`
	Holdout float64 `json:"holdout"`
}

// Share returns the share of a group, 0 for none.
func (g GroupShares) Share(group Group) float64 {
	switch group {
	case GroupPolicy:
		return g.Policy
	case GroupRandom:
		return g.Random
	case GroupBAU:
		return g.BAU
	case GroupHoldout:
		return g.Holdout
	}
	return 0
}

// Shares are those of a holdout as groups: who is let through is the policy's.
func (h Holdout) Shares() GroupShares { return GroupShares{Policy: 1 - h.Share, Holdout: h.Share} }

// Pick returns the group at u in [0, 1), in the order policy, random, bau, holdout.
func (g GroupShares) Pick(u float64) Group {
	for _, group := range [...]Group{GroupPolicy, GroupRandom, GroupBAU, GroupHoldout} {
		if share := g.Share(group); u < share {
			return group
		} else {
			u -= share
		}
	}
	// Shares sum to 1 only within rounding: u landed in that crack, and belongs to the last group with a share.
	for _, group := range [...]Group{GroupHoldout, GroupBAU, GroupRandom} {
		if g.Share(group) > 0 {
			return group
		}
	}
	return GroupPolicy
}

// Duration is a time.Duration that is written as text, "24h" or "7d".
type Duration time.Duration

// ParseDuration reads Go's durations and whole days, "90m", "24h", "7d".
func ParseDuration(s string) (Duration, error) {
	var days int
	if n, err := fmt.Sscanf(s, "%dd", &days); err == nil && n == 1 && fmt.Sprintf("%dd", days) == s && days >= 0 && days <= 36500 {
		return Duration(time.Duration(days) * 24 * time.Hour), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, Errorf(CodeInvalidRequest, "bad duration %.40q", s).WithHint(`write "90m", "24h" or "7d"`)
	}
	return Duration(d), nil
}

func (d Duration) String() string {
	if t := time.Duration(d); t >= 48*time.Hour && t%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", t/(24*time.Hour))
	}
	s := time.Duration(d).String() // 24h0m0s: the zero units say nothing
	if rest, ok := strings.CutSuffix(s, "m0s"); ok {
		s = rest + "m"
	}
	if rest, ok := strings.CutSuffix(s, "h0m"); ok {
		s = rest + "h"
	}
	return s
}

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	*d = v
	return err
}

// Reward windows run from a minute to 60 days.
const (
	MinWindow = time.Minute
	MaxWindow = 60 * 24 * time.Hour
)

// Problem is one thing wrong with a declaration, at a path such as actions[1].copy[0].id.
type Problem struct {
	Path    string
	Message string
	Hint    string
}

// ValidName reports whether s is 1 to 64 of [a-z0-9_-]: ids of surfaces, actions, copy, experiments and outcomes.
func ValidName(s string) bool { return validName(s, 64) }

func validName(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// Limits of a declaration.
const (
	MaxText           = 10_000 // bytes of a headline, body or call to action
	MaxActions        = 1_000
	MaxCopyPerAction  = 50
	MaxSurfaces       = 1_000
	MaxOutcomes       = 50
	MaxArmsPerSurface = 500
)

// Problems returns everything that is wrong with the declaration, in file order; none means that it may be applied.
// Rules are checked by the pool, which compiles them.
func (d *Declaration) Problems() []Problem {
	c := check{}
	if d.Store.Name == "" {
		c.add("store.name", "a store needs a name", "store: {name: Demo, currency: GBP}")
	}
	if len(d.Store.Name) > 200 {
		c.add("store.name", "at most 200 bytes", "")
	}
	if !validCurrency(d.Store.Currency) {
		c.add("store.currency", fmt.Sprintf("%.20q is not an ISO 4217 code", d.Store.Currency), "three capitals, such as GBP")
	}
	for name, l := range sorted(d.Layers) {
		path := "layers." + name
		if _, ok := ParseLayer(name); !ok {
			c.add(path, fmt.Sprintf("no layer is called %.40q", name), "moment, meaning, trajectory or catalogue")
		}
		c.oneOf(path+".source", l.Source, SourceDerived, SourceRequest)
		if which, ok := ParseLayer(name); ok {
			c.layer(path, which, l)
		}
	}
	outcomes, surfaces, actions := map[string]OutcomeType{}, map[string]Surface{}, map[string]Action{}
	c.most("outcomes", len(d.Outcomes), MaxOutcomes)
	for i, o := range d.Outcomes {
		path := fmt.Sprintf("outcomes[%d]", i)
		name(&c, path+".name", o.Name, outcomes, o)
		c.oneOf(path+".type", o.Type, OutcomeBinary, OutcomeMoney)
		if o.Count != "" {
			c.oneOf(path+".count", o.Count, CountFirst, CountSum, CountLast)
		}
		c.number(path+".bound", o.Bound, 0, 1e12)
		c.number(path+".cap", o.Cap, 0, 1e12)
		if o.Window != 0 {
			c.window(path+".window", o.Window)
		}
		if o.Scope != "" {
			c.oneOf(path+".scope", o.Scope, ScopeStore, ScopeSurface)
		}
		c.text(path+".from", o.From)
		switch {
		case o.From != "" && plainName(o.From) == "":
			c.add(path+".from", fmt.Sprintf("%.80q names no event", o.From), "from: "+OrderEvent)
		case o.From != "" && !o.OfOrders() && o.Type == OutcomeMoney:
			c.add(path+".from", fmt.Sprintf("event %.80q tells no money", o.From), "orders do: from: "+OrderEvent+"; or type: binary")
		}
	}
	c.most("surfaces", len(d.Surfaces), MaxSurfaces)
	for i, s := range d.Surfaces {
		path := fmt.Sprintf("surfaces[%d]", i)
		name(&c, path+".id", s.ID, surfaces, s)
		c.oneOf(path+".channel", s.Channel, channels...)
		if s.Ceiling != "" {
			c.oneOf(path+".ceiling", s.Ceiling, tierNames[:]...)
		}
	}
	c.most("actions", len(d.Actions), MaxActions)
	arms := map[string]int{}
	for i, a := range d.Actions {
		path := fmt.Sprintf("actions[%d]", i)
		name(&c, path+".id", a.ID, actions, a)
		c.action(path, a, surfaces)
		c.terms(path, a.Terms, outcomes)
		for _, at := range a.Surfaces {
			if arms[at] += len(a.Copy); arms[at] > MaxArmsPerSurface && arms[at]-len(a.Copy) <= MaxArmsPerSurface {
				c.add(path, fmt.Sprintf("surface %q has over %d arms (actions × copy)", at, MaxArmsPerSurface), "")
			}
		}
	}
	for i, s := range d.Surfaces {
		path := fmt.Sprintf("surfaces[%d].default", i)
		if s.DefaultCopy != "" && !slices.ContainsFunc(actions[s.Default].Copy, func(w Copy) bool { return w.ID == s.DefaultCopy }) {
			c.add(path+"Copy", fmt.Sprintf("the default has no copy called %.80q", s.DefaultCopy), "leave it out: the action's first copy is shown")
		}
		if s.Default == "" {
			continue
		}
		if a, ok := actions[s.Default]; !ok {
			c.add(path, fmt.Sprintf("no action is called %.80q", s.Default), "declare it under actions")
		} else if !slices.Contains(a.Surfaces, s.ID) {
			c.add(path, fmt.Sprintf("action %q is not offered at surface %q", s.Default, s.ID), "add the surface to the action's surfaces")
		}
	}
	experiments, running := map[string]Experiment{}, map[string]string{}
	c.most("experiments", len(d.Experiments), MaxSurfaces)
	for i, e := range d.Experiments {
		path := fmt.Sprintf("experiments[%d]", i)
		name(&c, path+".id", e.ID, experiments, e)
		c.experiment(path, e, surfaces, outcomes)
		c.apart(path, e, d.Experiments[:i])
		c.gate(path+".gate", e, outcomes)
		c.steered(path, e, actions)
		c.guards(path, e, outcomes)
		if other, ok := running[e.Surface]; ok && e.Status == StatusRunning {
			c.add(path+".status", fmt.Sprintf("experiment %q already runs at surface %q", other, e.Surface), "at most one running experiment per surface")
		} else if e.Status == StatusRunning {
			running[e.Surface] = e.ID
		}
	}
	c.holdouts(d.Holdouts, experiments)
	c.merchandise(d, actions)
	c.traffic(d.Traffic)
	c.guardrails(d.Guardrails)
	if d.Pressure != nil {
		c.frequency("pressure.perShopper", &d.Pressure.PerShopper)
	}
	for i, k := range d.Context {
		if k == "" || len(k) > 64 {
			c.add(fmt.Sprintf("context[%d]", i), "a context key is 1 to 64 characters", "")
		}
		if trait := Trait(k); trait != "" {
			c.add(fmt.Sprintf("context[%d]", i), fmt.Sprintf("%.64q speaks of a person's %s, which is never an input", k, trait), TraitHint)
		}
	}
	return c.problems
}

type check struct{ problems []Problem }

func (c *check) add(path, message, hint string) {
	c.problems = append(c.problems, Problem{Path: path, Message: message, Hint: hint})
}

func (c *check) oneOf(path, v string, allowed ...string) {
	if !slices.Contains(allowed, v) {
		c.add(path, fmt.Sprintf("%.40q is not allowed here", v), fmt.Sprintf("one of %q", allowed))
	}
}

func (c *check) number(path string, v, low, high float64) {
	if !(v >= low && v <= high) { // also NaN
		c.add(path, fmt.Sprintf("%v is not between %v and %v", v, low, high), "")
	}
}

func (c *check) most(path string, n, most int) {
	if n > most {
		c.add(path, fmt.Sprintf("%d entries; at most %d are kept", n, most), "")
	}
}

func (c *check) window(path string, w Duration) {
	if time.Duration(w) < MinWindow || time.Duration(w) > MaxWindow {
		c.add(path, fmt.Sprintf("window %v is not between 1m and 60d", w), `write "24h" or "7d"`)
	}
}

func (c *check) text(path, s string) {
	if len(s) > MaxText {
		c.add(path, fmt.Sprintf("%d bytes; at most %d", len(s), MaxText), "")
	}
}

// name checks an id and that it is the first of its kind, and notes it in seen.
func name[T any](c *check, path, id string, seen map[string]T, v T) {
	if !ValidName(id) {
		c.add(path, fmt.Sprintf("%.80q is not 1 to 64 of [a-z0-9_-]", id), "")
	} else if _, dup := seen[id]; dup {
		c.add(path, fmt.Sprintf("%q is declared twice", id), "give one of them another name, or delete it")
	}
	seen[id] = v
}

func (c *check) action(path string, a Action, surfaces map[string]Surface) {
	if !validName(a.Type, 32) {
		c.add(path+".type", fmt.Sprintf("%.40q is not 1 to 32 of [a-z0-9_-]", a.Type), "such as discount, content, loyalty")
	}
	if len(a.Surfaces) == 0 {
		c.add(path+".surfaces", "an action needs a surface", "surfaces: [home_hero]")
	}
	for i, s := range a.Surfaces {
		if _, ok := surfaces[s]; !ok {
			c.add(fmt.Sprintf("%s.surfaces[%d]", path, i), fmt.Sprintf("no surface is called %.80q", s), "declare it under surfaces")
		}
		if slices.Index(a.Surfaces, s) != i {
			c.add(fmt.Sprintf("%s.surfaces[%d]", path, i), fmt.Sprintf("%.80q is named twice", s), "")
		}
	}
	c.text(path+".rule", a.Rule)
	c.slots(path, a)
	if b, err := json.Marshal(a.Payload); err != nil || len(b) > MaxText {
		c.add(path+".payload", fmt.Sprintf("payload must be JSON of at most %d bytes", MaxText), "")
	}
	if len(a.Copy) == 0 {
		c.add(path+".copy", "an action needs copy", `copy: [{id: plain, headline: "..."}]`)
	}
	c.most(path+".copy", len(a.Copy), MaxCopyPerAction)
	ids, broad := map[string]Copy{}, false
	for i, w := range a.Copy {
		at := fmt.Sprintf("%s.copy[%d]", path, i)
		name(c, at+".id", w.ID, ids, w)
		if w.Headline == "" {
			c.add(at+".headline", "copy needs a headline", "")
		}
		c.text(at+".headline", w.Headline)
		c.text(at+".body", w.Body)
		c.text(at+".cta", w.CTA)
		for j, v := range w.Voice {
			if !ValidLayerValue(v) {
				c.add(fmt.Sprintf("%s.voice[%d]", at, j), fmt.Sprintf("%.80q is not a meaning value", v), "1 to 64 of [a-z0-9._-]")
			}
		}
		broad = broad || len(w.Voice) == 0
	}
	if len(a.Copy) > 0 && !broad {
		c.add(path+".copy", "no copy without a voice", "broad copy must exist, so that nobody gets nothing")
	}
}

func (c *check) experiment(path string, e Experiment, surfaces map[string]Surface, outcomes map[string]OutcomeType) {
	if _, ok := surfaces[e.Surface]; !ok {
		c.add(path+".surface", fmt.Sprintf("no surface is called %.80q", e.Surface), "declare it under surfaces")
	}
	c.goal(path+".goal", e, outcomes)
	c.window(path+".goal.window", e.Goal.Window)
	sum := 0.0
	for _, g := range [...]Group{GroupPolicy, GroupRandom, GroupBAU, GroupHoldout} {
		c.number(path+".groups."+g.String(), e.Groups.Share(g), 0, 1)
		sum += e.Groups.Share(g)
	}
	if !(math.Abs(sum-1) <= 1e-9) {
		c.add(path+".groups", fmt.Sprintf("shares sum to %v, not 1", sum), "groups: {policy: 0.85, random: 0.05, bau: 0.05, holdout: 0.05}")
	}
	c.number(path+".traffic", e.TrafficShare(), 0, 1)
	c.number(path+".floor", e.FloorMass(), 0, 1)
	if e.Policy != "" {
		c.oneOf(path+".policy", e.Policy, Policies()...)
	}
	c.learning(path+".learning", e)
	if e.Stickiness != "" {
		c.oneOf(path+".stickiness", e.Stickiness, StickyNone, StickySession, StickyWindow)
	}
	c.attribution(path, e)
	c.oneOf(path+".status", e.Status, StatusDraft, StatusRunning, StatusPaused, StatusStopped)
	if e.Starts != nil && e.Ends != nil && !e.Starts.Before(*e.Ends) {
		c.add(path+".ends", "ends before it starts", "")
	}
}

func (c *check) attribution(path string, e Experiment) {
	if e.Attribution != "" {
		c.oneOf(path+".attribution", e.Attribution, AttributionLast, AttributionLinear, AttributionTimeDecay)
	}
	if h := time.Duration(e.AttributionHalfLife); h != 0 {
		if e.Attribution != AttributionTimeDecay {
			c.add(path+".attributionHalfLife", "only time-decay has a half-life", "attribution: time-decay")
		}
		if h < MinWindow || h > 365*24*time.Hour {
			c.add(path+".attributionHalfLife", fmt.Sprintf("half-life %v is not between 1m and 365d", e.AttributionHalfLife), `write "7d"`)
		}
	}
}

// MaxHorizon bounds the horizon of experiments and holdouts.
const MaxHorizon = 180 * 24 * time.Hour

func (c *check) horizon(path string, h Duration) {
	if h != 0 && (time.Duration(h) < time.Hour || time.Duration(h) > MaxHorizon) {
		c.add(path, fmt.Sprintf("horizon %v is not between 1h and 180d", h), `write "14d"`)
	}
}

// apart checks an experiment's place among those before it.
func (c *check) apart(path string, e Experiment, before []Experiment) {
	c.horizon(path+".horizon", e.Horizon)
	for i, tag := range e.Tags {
		if !ValidName(tag) {
			c.add(fmt.Sprintf("%s.tags[%d]", path, i), fmt.Sprintf("%.80q is not 1 to 64 of [a-z0-9_-]", tag), "")
		}
	}
	c.most(path+".tags", len(e.Tags), MaxHoldouts)
	if e.Namespace == "" {
		if e.Slice != nil {
			c.add(path+".slice", "a slice of which namespace?", "namespace: checkout")
		}
		return
	}
	if !ValidName(e.Namespace) {
		c.add(path+".namespace", fmt.Sprintf("%.80q is not 1 to 64 of [a-z0-9_-]", e.Namespace), "")
	}
	if e.Slice == nil || !(e.Slice.From >= 0 && e.Slice.From < e.Slice.To && e.Slice.To <= 1) {
		c.add(path+".slice", "no part of 0 to 1", "slice: {from: 0, to: 0.5}")
		return
	}
	for _, o := range before {
		if o.Namespace == e.Namespace && o.Slice != nil && o.Slice.From < e.Slice.To && e.Slice.From < o.Slice.To &&
			(o.Status == StatusRunning || o.Status == StatusPaused) && (e.Status == StatusRunning || e.Status == StatusPaused) {
			c.add(path+".slice", fmt.Sprintf("overlaps that of experiment %q", o.ID), "slices of one namespace stand side by side: 0 to 0.5 and 0.5 to 1")
		}
	}
}

func (c *check) gate(path string, e Experiment, outcomes map[string]OutcomeType) {
	g := e.Gate
	if g == nil {
		return
	}
	o, ok := outcomes[cmp.Or(g.Outcome, e.Goal.Main())]
	if !ok {
		c.add(path+".outcome", fmt.Sprintf("no outcome is called %.80q", g.Outcome), "declare it under outcomes")
	}
	if g.Measure != "" {
		c.oneOf(path+".measure", g.Measure, MeasureRate, MeasureValue)
	}
	if ok && g.Measure == MeasureValue && o.Type != OutcomeMoney {
		c.add(path+".measure", fmt.Sprintf("outcome %q is not money", o.Name), "measure: rate")
	}
	c.number(path+".threshold", g.Threshold, 0, 10)
	c.number(path+".lift", g.Lift, 0, 100)
	if g.Rule != "" {
		c.oneOf(path+".rule", g.Rule, GateLower, GateEstimate)
	}
	c.number(path+".minWeeks", float64(g.MinWeeks), 0, 52)
	c.number(path+".maxWeeks", float64(g.MaxWeeks), 0, 104)
	if g.MaxWeeks != 0 && g.MaxWeeks < max(g.MinWeeks, 1) {
		c.add(path+".maxWeeks", "under minWeeks", "minWeeks: 4, maxWeeks: 8")
	}
}

func (c *check) holdouts(holdouts []Holdout, experiments map[string]Experiment) {
	seen := map[string]Holdout{}
	c.most("holdouts", len(holdouts), MaxHoldouts)
	for i, h := range holdouts {
		path := fmt.Sprintf("holdouts[%d]", i)
		name(c, path+".id", h.ID, seen, h)
		if _, taken := experiments[h.ID]; taken {
			c.add(path+".id", fmt.Sprintf("an experiment is called %q", h.ID), "give the holdout another name")
		}
		c.number(path+".share", h.Share, 0, 0.5)
		c.horizon(path+".horizon", h.Horizon)
		for j, tag := range h.Tags {
			if !ValidName(tag) {
				c.add(fmt.Sprintf("%s.tags[%d]", path, j), fmt.Sprintf("%.80q is not 1 to 64 of [a-z0-9_-]", tag), "")
			}
		}
	}
}

func (c *check) goal(path string, e Experiment, outcomes map[string]OutcomeType) {
	g := e.Goal
	if g.Measure != "" {
		c.oneOf(path+".measure", g.Measure, MeasureValue, MeasureRate)
	}
	if len(g.Weights) == 0 {
		o, ok := outcomes[g.Outcome]
		if !ok {
			c.add(path+".outcome", fmt.Sprintf("no outcome is called %.80q", g.Outcome), "declare it under outcomes")
		}
		if ok && o.Type != OutcomeMoney && g.Measure == MeasureValue {
			c.add(path+".measure", fmt.Sprintf("outcome %q is not money", o.Name), "leave measure out")
		}
		return
	}
	if g.Outcome != "" {
		c.add(path+".outcome", "a goal has an outcome or weights, not both", "weights: {"+g.Outcome+": 1}")
	}
	if len(g.Weights) > MaxWeights {
		c.add(path+".weights", fmt.Sprintf("%d outcomes, at most %d", len(g.Weights), MaxWeights), "")
	}
	for name, w := range sorted(g.Weights) {
		at := path + ".weights." + name
		if _, ok := outcomes[name]; !ok {
			c.add(at, fmt.Sprintf("no outcome is called %.80q", name), "declare it under outcomes")
		}
		c.number(at, w, -1e6, 1e6)
		if w == 0 {
			c.add(at, "weighs nothing", "leave it out")
		}
	}
	if !Pooled(e.Policy) && e.Policy != PolicyUniform && e.Policy != PolicyFixed {
		c.add(path+".weights", fmt.Sprintf("policy %q learns towards one outcome", e.Policy), "policy: pooled")
	}
}

// steered checks nudges and floors.
func (c *check) steered(path string, e Experiment, actions map[string]Action) {
	if (len(e.Nudges) > 0 || len(e.Floors) > 0) && (e.Policy == PolicyUniform || e.Policy == PolicyFixed) {
		c.add(path+".nudges", fmt.Sprintf("policy %q has neither nudges nor floors", e.Policy), "its shares are fixed")
	}
	if len(e.Nudges) > MaxNudges {
		c.add(path+".nudges", fmt.Sprintf("%d nudges, at most %d", len(e.Nudges), MaxNudges), "")
	}
	known := func(at, id string) {
		if a, ok := actions[id]; !ok {
			c.add(at, fmt.Sprintf("no action is called %.80q", id), "declare it under actions")
		} else if !slices.Contains(a.Surfaces, e.Surface) {
			c.add(at, fmt.Sprintf("action %q is not offered at surface %q", id, e.Surface), "add the surface to the action's surfaces")
		}
	}
	for i, n := range e.Nudges {
		at := fmt.Sprintf("%s.nudges[%d]", path, i)
		known(at+".action", n.Action)
		c.number(at+".factor", n.Factor, 0.5, 2)
		if strings.TrimSpace(n.Owner) == "" {
			c.add(at+".owner", "nobody answers for it", "owner: mia")
		}
		c.text(at+".owner", n.Owner)
		c.text(at+".why", n.Why)
		if n.Priority != "" {
			c.add(at+".priorityId", "an experiment's own nudge comes of no priority", "declare it under priorities, with the action")
		}
		if n.Expires.IsZero() {
			c.add(at+".expires", "a nudge ends", "expires: 2026-12-01T00:00:00Z")
		} else if n.Starts != nil && !n.Starts.Before(n.Expires) {
			c.add(at+".expires", "ends before it starts", "")
		}
	}
	sum := 0.0
	for id, v := range sorted(e.Floors) {
		action, _, _ := strings.Cut(id, "/")
		known(path+".floors."+id, action)
		c.number(path+".floors."+id, v, 0, MaxFloors)
		sum += v
	}
	if sum > MaxFloors+1e-9 || len(e.Floors) > 0 && sum+e.FloorMass() > 1 {
		c.add(path+".floors", fmt.Sprintf("floors sum to %v, at most %v, and to at most 1 with floor", sum, MaxFloors), "")
	}
}

func (c *check) learning(path string, e Experiment) {
	l := e.Learning
	if l == nil {
		if e.Policy == PolicyFixed {
			c.add(path+".split", "a fixed split needs its shares", "split: {five_off: 0.5, points: 0.5}")
		}
		return
	}
	only := func(field string, set bool, policy string) {
		if name := cmp.Or(e.Policy, PolicyPooled); set && name != policy {
			c.add(path+"."+field, fmt.Sprintf("policy %q has no such setting", name), "it belongs to "+policy)
		}
	}
	only("halfLife", l.HalfLife != 0, PolicyPooled)
	only("draw", l.Draw != "", PolicyPooled)
	only("temper", l.Temper != 0, PolicyPooled)
	only("epsilon", l.Epsilon != 0, PolicyGreedy)
	only("split", len(l.Split) > 0, PolicyFixed)
	if l.Draw != "" {
		c.oneOf(path+".draw", l.Draw, DrawTempered, DrawFull)
	}
	if l.HalfLife != 0 {
		c.number(path+".halfLife", days(l.HalfLife), 1, 3650)
	}
	c.number(path+".temper", l.Temper, 0, 2)
	c.number(path+".epsilon", l.Epsilon, 0, 1)
	sum := 0.0
	for id, v := range sorted(l.Split) {
		c.number(path+".split."+id, v, 0, 1)
		sum += v
	}
	if len(l.Split) > 0 && !(math.Abs(sum-1) <= 1e-9) {
		c.add(path+".split", fmt.Sprintf("shares sum to %v, not 1", sum), "")
	}
}

func validCurrency(s string) bool {
	return len(s) == 3 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z' && s[2] >= 'A' && s[2] <= 'Z'
}

// MinorDigits is the number of decimals of a currency's smallest unit (ISO 4217), 2 for those not listed.
func MinorDigits(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	}
	return 2
}

// sorted yields a map's entries by key.
func sorted[V any](m map[string]V) func(yield func(string, V) bool) {
	return func(yield func(string, V) bool) {
		keys := make([]string, 0, len(m))
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
