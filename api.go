package juncture

import "time"

// The JSON of the API, as docs/api.md describes it. The server decodes and encodes these, the engine answers them and
// the client sends them.

// ChooseRequest asks for one decision.
type ChooseRequest struct {
	Surface         string         `json:"surface"`
	ShopperID       string         `json:"shopperId,omitempty"`
	AnonymousID     string         `json:"anonymousId,omitempty"`
	RequestID       string         `json:"requestId,omitempty"`
	SessionID       string         `json:"sessionId,omitempty"`
	Context         map[string]any `json:"context,omitempty"`
	Layers          *LayerValues   `json:"layers,omitempty"`
	Candidates      []string       `json:"candidates,omitempty"`
	ExcludedActions []string       `json:"excludedActions,omitempty"`
	DeferActivation bool           `json:"deferActivation,omitempty"`
	Consent         *Consent       `json:"consent,omitempty"`
	Explain         bool           `json:"explain,omitempty"`
	Preview         *Preview       `json:"preview,omitempty"`
}

// LayerValues are what a caller knows of the layers; empty means not sent.
type LayerValues struct {
	Moment     string `json:"moment,omitempty"`
	Meaning    string `json:"meaning,omitempty"`
	Trajectory string `json:"trajectory,omitempty"`
	Catalogue  string `json:"catalogue,omitempty"`
}

// Values returns the four in key order.
func (v *LayerValues) Values() [LayerCount]string {
	if v == nil {
		return [LayerCount]string{}
	}
	return [LayerCount]string{v.Moment, v.Meaning, v.Trajectory, v.Catalogue}
}

// Consent of the shopper: "granted", "denied" or "unknown" (also empty).
type Consent struct {
	Personalization string `json:"personalization,omitempty"`
	Analytics       string `json:"analytics,omitempty"`
}

// Preview forces a view of a live action.
type Preview struct {
	ActionID string `json:"actionId"`
}

// ChooseAnswer is what to render, and why.
type ChooseAnswer struct {
	DecisionID    string           `json:"decisionId"`
	ActionID      *string          `json:"actionId"` // null: render the page as it would be without Juncture
	Action        *ActionView      `json:"action"`
	Copy          *CopyView        `json:"copy"`
	Products      []ProductView    `json:"products"`            // for the action's slots, the best first
	Editorial     []EditorialView  `json:"editorial,omitempty"` // pieces for the action's slots
	Probability   float64          `json:"probability"`         // of this arm, given the group; exact
	Ranking       []RankedView     `json:"ranking"`             // the eligible arms, likeliest first; sums to 1
	Intersection  IntersectionView `json:"intersection"`
	Group         Group            `json:"group"`
	Reason        Reason           `json:"reason"`
	ReasonDetail  Detail           `json:"reasonDetail,omitempty"`
	PolicyVersion string           `json:"policyVersion"`
	Active        bool             `json:"active"` // a trial now; false until /activate when deferred
	RewardUntil   time.Time        `json:"rewardUntil"`
	Shadow        *ShadowView      `json:"shadow,omitempty"` // of an experiment in shadow: what would have been served
	Warnings      []string         `json:"warnings"`
	Explanation   *ExplanationView `json:"explanation,omitempty"`
}

// ShadowView is what was drawn, by the answer's ranking, and not served.
type ShadowView struct {
	ActionID    string  `json:"actionId"`
	CopyID      string  `json:"copyId"`
	Probability float64 `json:"probability"` // exact
}

// ActionView is an action version as served.
type ActionView struct {
	ID      string         `json:"id"`
	Version int            `json:"version"`
	Type    string         `json:"type"`
	Payload map[string]any `json:"payload"`
}

// CopyView is a copy version as served.
type CopyView struct {
	ID       string `json:"id"`
	Version  int    `json:"version"`
	Headline string `json:"headline"`
	Body     string `json:"body"`
	CTA      string `json:"cta"`
}

// ProductView is a product for a slot, as the catalogue has it, with why it is there.
type ProductView struct {
	ID       string  `json:"id"`
	Title    string  `json:"title"`
	Category string  `json:"category,omitempty"`
	Price    float64 `json:"price,omitempty"`     // left out where the catalogue has none
	Compare  float64 `json:"compareAt,omitempty"` // the price before a discount
	Currency string  `json:"currency"`
	URL      string  `json:"url,omitempty"`
	Image    string  `json:"image,omitempty"`
	Source   string  `json:"source"`             // what recommended it (Sources), or "action"
	Why      string  `json:"why"`                // for people
	Priority string  `json:"priority,omitempty"` // the merchandiser's priority that raised it
}

// EditorialView is a piece for a slot.
type EditorialView struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	URL   string `json:"url"`
	Image string `json:"image,omitempty"`
}

// RankedView is one eligible arm.
type RankedView struct {
	ActionID    string  `json:"actionId"`
	CopyID      string  `json:"copyId"`
	Probability float64 `json:"probability"`
}

// IntersectionView is the cell that was decided on.
type IntersectionView struct {
	Key          string               `json:"key"`
	Tier         string               `json:"tier"`
	Layers       map[string]LayerView `json:"layers"`
	OwnEvidence  float64              `json:"ownEvidence"`            // trials of the served action at this cell
	Borrowed     float64              `json:"borrowed"`               // pseudo-trials that its prior is worth
	BorrowedFrom string               `json:"borrowedFrom,omitempty"` // the next broader rung
}

// LayerView is one layer with how sure it is, in [0, 1], and why.
type LayerView struct {
	Value      string  `json:"value"`
	Confidence float64 `json:"confidence"`
	Reason     string  `json:"reason"`
}

// ExplanationView says more, when asked.
type ExplanationView struct {
	Filtered  []FilteredView `json:"filtered"`
	Floor     float64        `json:"floor"`
	Policy    string         `json:"policy"`
	Share     float64        `json:"groupShare"`
	Effects   []EffectView   `json:"effects,omitempty"`   // of the arm served, where the policy is pooled
	Sentence  string         `json:"sentence,omitempty"`  // the same in words
	Nudges    []NudgeView    `json:"nudges,omitempty"`    // that hold now, of eligible actions
	NudgeCost *float64       `json:"nudgeCost,omitempty"` // what they cost a decision here, in the goal's units: a rate, or a value
}

// NudgeView is a merchandiser's nudge at work.
type NudgeView struct {
	ActionID string    `json:"actionId"`
	Factor   float64   `json:"factor"`
	Owner    string    `json:"owner"`
	Why      string    `json:"why,omitempty"`
	Expires  time.Time `json:"expires"`
	Priority string    `json:"priorityId,omitempty"` // that it comes of; left out: the experiment declares it
}

// View is the nudge as the API shows it.
func (n Nudge) View() NudgeView {
	return NudgeView{ActionID: n.Action, Factor: n.Factor, Owner: n.Owner, Why: n.Why, Expires: n.Expires, Priority: n.Priority}
}

// EffectView is one term of what is believed of an arm at an intersection, on the log-odds.
type EffectView struct {
	Family   string  `json:"family"`          // as "action × meaning"
	Level    string  `json:"level,omitempty"` // as "sneaker-fans"; left out for the store
	Estimate float64 `json:"estimate"`
	Sd       float64 `json:"sd"`
	Own      bool    `json:"own,omitempty"`     // learnt at this very intersection
	Outcome  string  `json:"outcome,omitempty"` // of a goal of several outcomes
}

// FilteredView is an arm that was not eligible.
type FilteredView struct {
	ActionID string `json:"actionId"`
	CopyID   string `json:"copyId"`
	Why      string `json:"why"`
}

// ActivateRequest says that a decision was shown.
type ActivateRequest struct {
	DecisionID string  `json:"decisionId"`
	Served     *Served `json:"served,omitempty"`
}

// Served is what the page showed instead.
type Served struct {
	ActionID    string  `json:"actionId"`
	CopyID      string  `json:"copyId,omitempty"`
	Probability float64 `json:"probability,omitempty"`
}

// ActivateAnswer confirms it.
type ActivateAnswer struct {
	DecisionID  string    `json:"decisionId"`
	Status      string    `json:"status"` // activated, duplicate (it was a trial already) or ignored
	Active      bool      `json:"active"`
	RewardUntil time.Time `json:"rewardUntil"`
}

// RewardRequest tells an outcome. Value is a pointer: omitted is not zero.
type RewardRequest struct {
	DecisionID string   `json:"decisionId,omitempty"`
	ShopperID  string   `json:"shopperId,omitempty"`
	Event      string   `json:"event"`
	Value      *float64 `json:"value,omitempty"`
	Currency   string   `json:"currency,omitempty"`
	OutcomeID  string   `json:"outcomeId,omitempty"`
	Adjusts    *string  `json:"adjusts,omitempty"`
	OccurredAt string   `json:"occurredAt,omitempty"`
}

// RewardAnswer says what became of it.
type RewardAnswer struct {
	Status       Status       `json:"status"`
	AttributedTo []CreditView `json:"attributedTo"`
	Reward       float64      `json:"reward"`  // the value recorded, or the change of an adjustment
	Learned      bool         `json:"learned"` // a posterior moved
	Warnings     []string     `json:"warnings,omitempty"`
}

// CreditView is a decision that an outcome was credited to.
type CreditView struct {
	DecisionID string  `json:"decisionId"`
	Experiment string  `json:"experiment,omitempty"`
	ActionID   string  `json:"actionId,omitempty"`
	CopyID     string  `json:"copyId,omitempty"`
	Credit     float64 `json:"credit"` // share of the outcome, in [0, 1]; those of an experiment sum to 1
	Status     Status  `json:"status"` // credited: another decision of the experiment holds the outcome
}

// ProblemView is problem details (RFC 9457) as every 4xx and 5xx carries them.
type ProblemView struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	ErrorCode Code   `json:"errorCode"`
	RequestID string `json:"requestId"`
	Hint      string `json:"hint,omitempty"`
	Field     string `json:"field,omitempty"`

	Problems []FieldProblem `json:"problems,omitempty"` // all that is wrong with a draft, the one of detail first
}

// FieldProblem is one thing that is wrong with a request.
type FieldProblem struct {
	Field  string `json:"field"` // of the request; empty: it is about none
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// ProfileView is a shopper as GET /api/v1/profiles/{id} tells. Its names are those that customer data platforms use.
type ProfileView struct {
	CustomerID         string               `json:"customer_id"` // the id of the person where one is known, else the first seen
	ShopperID          string               `json:"shopper_id"`  // the id seen first: the profile is kept under it
	Currency           string               `json:"currency"`
	LifetimeValue      float64              `json:"lifetime_value"` // of the orders that count, less refunds
	LastPurchase       *time.Time           `json:"last_purchase"`  // null: none
	PurchaseCount      int64                `json:"purchase_count"`
	AverageOrderValue  float64              `json:"average_order_value"`
	ProductCategories  []string             `json:"product_categories"` // of the latest events, most seen first
	Segment            string               `json:"segment"`            // the intersection's key
	Layers             map[string]LayerView `json:"layers"`
	Posture            string               `json:"posture"`
	PredictedChurnRisk *float64             `json:"predicted_churn_risk"` // of no order in 90 days; null without an order
	PurchasePropensity *float64             `json:"purchase_propensity"`  // of an order in the visit that runs; null when none does
	NextBestAction     *string              `json:"next_best_action"`     // at the first surface with a running experiment
	NextBestActions    []NextBestAction     `json:"next_best_actions"`
	FirstSeen          time.Time            `json:"first_seen"`
	LastEngagement     time.Time            `json:"last_engagement"`
	Consent            string               `json:"consent"` // granted, denied or unknown
}

// NextBestAction is what the policy would most probably show at a surface now.
type NextBestAction struct {
	Surface     string  `json:"surface"`
	ActionID    string  `json:"actionId"`
	Probability float64 `json:"probability"`
}

// ClustersView is the store's taste clusters.
type ClustersView struct {
	Version  int64         `json:"version"`  // 0: none learnt yet
	Shoppers int           `json:"shoppers"` // they were learnt from
	Items    []ClusterView `json:"items"`    // the largest first
}

// ClusterView is one taste cluster: a value of the meaning layer.
type ClusterView struct {
	ID      string    `json:"id"` // the layer's value; it never changes
	Name    string    `json:"name"`
	Renamed bool      `json:"renamed"`  // by a person
	Size    int       `json:"shoppers"` // when it was learnt
	Top     []string  `json:"top"`      // its most distinctive attributes
	Voice   VoiceView `json:"voice"`
}

// VoiceView is how copy speaks to a cluster.
type VoiceView struct {
	Tone  string   `json:"tone"`
	Use   []string `json:"use"`
	Avoid []string `json:"avoid"`
}

// ClusterChange renames a cluster and sets its voice; nil: as it is. The empty name brings the automatic one back.
type ClusterChange struct {
	Name  *string    `json:"name,omitempty"`
	Voice *VoiceView `json:"voice,omitempty"`
}

// RefitView says what learning the clusters again did.
type RefitView struct {
	Version  int64    `json:"version"`
	Clusters int      `json:"clusters"`
	Shoppers int      `json:"shoppers"` // with a taste
	Moved    int      `json:"moved"`    // whose cluster changed
	Of       int      `json:"of"`       // with a cluster before or after
	Kept     int      `json:"kept"`     // ids that live on
	New      []string `json:"new"`
	Retired  []string `json:"retired"`
	Skipped  int      `json:"skipped"` // stored profiles that could not be read
}

// ProductsTaken says what became of products that were sent.
type ProductsTaken struct {
	Taken   int          `json:"taken"`
	Changed int          `json:"changed"` // new or different
	Refused []RowRefusal `json:"refused"` // the first of them
	Over    int          `json:"over"`    // refused beyond those told
}

// ProductChange is what changes of a product that the store has: stock, price, whether it is shown. Nil: as it is.
type ProductChange struct {
	ID     string   `json:"id"`
	Stock  *int64   `json:"stock,omitempty"` // -1: not tracked
	Price  *float64 `json:"price,omitempty"` // in the store's currency
	Hidden *bool    `json:"hidden,omitempty"`
}

// ProductChanged confirms a change.
type ProductChanged struct {
	ID string `json:"id"`
}

// RowRefusal is a row that could not be taken.
type RowRefusal struct {
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// ErasureView confirms an erasure.
type ErasureView struct {
	Erased    bool  `json:"erased"`
	IDs       int   `json:"ids"` // of the shopper
	Events    int64 `json:"events"`
	Decisions int64 `json:"decisions"` // that stand under a random id from now on
}

// ExclusionRequest says why a shopper is none.
type ExclusionRequest struct {
	Reason string `json:"reason"` // bot or staff
	Why    string `json:"why"`    // in words, for the audit log
}

// ExclusionView is a shopper who was taken out of all that is learnt and reported.
type ExclusionView struct {
	ShopperID string    `json:"shopperId"` // the first-seen id
	Reason    string    `json:"reason"`
	Why       string    `json:"why"`
	At        time.Time `json:"at"`
	Trials    int64     `json:"trials"`  // taken out then
	Already   bool      `json:"already"` // they were excluded before; nothing changed
}

// CatalogueView is what can be surfaced now.
type CatalogueView struct {
	Products   int            `json:"products"`   // known
	Sellable   int            `json:"sellable"`   // not hidden, not out of stock
	Categories []CategoryView `json:"categories"` // the largest first
	AsOf       *time.Time     `json:"asOf"`       // of trending and cross-sells; null: nothing counted yet
	Trending   []ProductView  `json:"trending"`
	CrossSells []CrossSell    `json:"crossSells"` // the strongest first
	Priorities []Priority     `json:"priorities"` // live now
	Editorial  []Editorial    `json:"editorial"`  // not expired
}

// CategoryView is a category of the catalogue.
type CategoryView struct {
	Value    string `json:"value"` // as the catalogue layer says it
	Name     string `json:"name"`
	Products int    `json:"products"`
}

// CrossSell is a pair of products that are bought in one order.
type CrossSell struct {
	Product string  `json:"product"`
	With    string  `json:"with"`
	Orders  float64 `json:"orders"` // with both, decayed
	Lift    float64 `json:"lift"`   // over what chance has it
}
