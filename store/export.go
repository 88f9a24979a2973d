package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// ShopperExport is what is kept of a shopper, for them to have.
type ShopperExport struct {
	Shopper   string                 `json:"shopper"` // the first-seen id
	IDs       []string               `json:"ids"`     // all of theirs
	Consent   juncture.ConsentRecord `json:"consent"`
	Standing  *ExportedStanding      `json:"standing"` // null: never described
	Events    []ExportedEvent        `json:"events"`
	Decisions []ExportedDecision     `json:"decisions"`
	Movements []ExportedMovement     `json:"movements"`
	Truncated []string               `json:"truncated"` // the lists that are cut short
}

// ExportedStanding is how the shopper was described last.
type ExportedStanding struct {
	At      time.Time         `json:"at"`
	Window  string            `json:"window"`
	Posture string            `json:"posture"`
	Reason  string            `json:"reason"`
	Layers  map[string]string `json:"layers"`
}

// ExportedEvent is an event as it was sent, less personal data.
type ExportedEvent struct {
	At       time.Time       `json:"at"`
	Received time.Time       `json:"received"`
	Name     string          `json:"name"`
	Shopper  string          `json:"shopper"` // whose it was then
	Raw      json.RawMessage `json:"raw"`
}

// ExportedDecision is a decision with its outcomes.
type ExportedDecision struct {
	Serial       uint64            `json:"serial,string"`
	At           time.Time         `json:"at"`
	Surface      string            `json:"surface"`
	Experiment   string            `json:"experiment"`
	Group        juncture.Group    `json:"group"`
	Arm          string            `json:"arm"` // action@version/copy@version, or "-"
	Intersection string            `json:"intersection"`
	Probability  float64           `json:"probability"`
	Shadow       string            `json:"shadow,omitempty"` // in shadow: the arm that was drawn and not served
	Reason       juncture.Reason   `json:"reason"`
	Detail       juncture.Detail   `json:"detail,omitempty"`
	Shopper      string            `json:"shopper"` // whose it was then
	Session      string            `json:"session"`
	Outcomes     []ExportedOutcome `json:"outcomes"`
}

// ExportedOutcome is an outcome as it was sent.
type ExportedOutcome struct {
	Event    string          `json:"event"`
	ID       string          `json:"outcomeId"`
	Adjusts  string          `json:"adjusts,omitempty"`
	Value    float64         `json:"value"`
	Currency string          `json:"currency,omitempty"`
	At       time.Time       `json:"at"`
	Credit   float64         `json:"credit"` // the decision's share of it
	Status   juncture.Status `json:"status"` // credited: another decision holds it
}

// ExportedMovement is a movement of the shopper's.
type ExportedMovement struct {
	At     time.Time `json:"at"`
	Axis   string    `json:"axis"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason"`
}

// ExportShopper gathers what is kept of the shopper behind an id, from one snapshot: of each list at most limit, newest
// first. Of an unknown id it is empty.
func (db *DB) ExportShopper(ctx context.Context, id string, limit int) (ShopperExport, error) {
	x := ShopperExport{Truncated: []string{}}
	tx, err := db.read.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return x, err
	}
	defer tx.Rollback() //nolint:errcheck // a read
	salt, err := db.consentSalt(ctx)
	if err != nil {
		return x, err
	}
	k, err := whose(ctx, tx.StmtContext(ctx, db.alias), tx.StmtContext(ctx, db.said), salt, id)
	if err != nil {
		return x, err
	}
	if x.Shopper = k.shopper; x.Shopper == "" {
		x.Shopper = id
	}
	x.Consent = k.consent.record()
	same, err := sameIDs(ctx, tx, id)
	if err != nil {
		return x, err
	}
	x.IDs = atMost(&x, "ids", same.all(), limit)
	if x.Standing, err = exportStanding(ctx, tx, x.Shopper); err != nil {
		return x, err
	}
	events, err := exportEvents(ctx, tx, x.Shopper, limit+1)
	if err != nil {
		return x, err
	}
	x.Events = atMost(&x, "events", events, limit)
	decisions, err := exportDecisions(ctx, tx, x.Shopper, limit+1)
	if err != nil {
		return x, err
	}
	x.Decisions = atMost(&x, "decisions", decisions, limit)
	shared, err := sharedOutcomes(ctx, tx, x.Shopper, limit+1)
	if err != nil {
		return x, err
	}
	shared = atMost(&x, "credits", shared, limit)
	for i := range x.Decisions {
		if err := x.Decisions[i].addOutcomes(ctx, tx, shared); err != nil {
			return x, err
		}
	}
	movements, err := movementsOf(ctx, tx, x.Shopper, limit+1)
	if err != nil {
		return x, err
	}
	x.Movements = []ExportedMovement{}
	for _, m := range atMost(&x, "movements", movements, limit) {
		x.Movements = append(x.Movements, ExportedMovement{At: m.At, Axis: m.Axis, From: m.From, To: m.To, Reason: m.Reason})
	}
	return x, nil
}

// atMost cuts a list, and says so.
func atMost[T any](x *ShopperExport, what string, list []T, limit int) []T {
	if len(list) > limit {
		x.Truncated = append(x.Truncated, what)
		return list[:limit]
	}
	if list == nil {
		return []T{}
	}
	return list
}

func exportStanding(ctx context.Context, tx *sqlx.Tx, shopper string) (*ExportedStanding, error) {
	found, err := profileRows(ctx, tx, `WHERE p.shopper = ?`, shopper)
	if err != nil || len(found) == 0 || found[0].Standing.At.IsZero() {
		return nil, err
	}
	s := found[0].Standing
	x := &ExportedStanding{At: s.At, Window: s.Window, Posture: s.Posture, Reason: s.Reason, Layers: map[string]string{}}
	for _, l := range juncture.Layers() {
		x.Layers[l.String()] = s.Values[l]
	}
	return x, nil
}

func exportEvents(ctx context.Context, tx *sqlx.Tx, shopper string, limit int) ([]ExportedEvent, error) {
	rows, err := tx.QueryContext(ctx, `SELECT at, received, name, shopper, raw FROM events WHERE shopper IN (`+sameShopper+`)
		ORDER BY serial DESC LIMIT ?`, shopper, shopper, shopper, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ExportedEvent
	for rows.Next() {
		e, err := scanExported(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

func exportDecisions(ctx context.Context, tx *sqlx.Tx, shopper string, limit int) ([]ExportedDecision, error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+prefixed("d", decisionColumns)+`, coalesce(a.action, ''), coalesce(a.action_version, 0),
		coalesce(a.copy, ''), coalesce(a.copy_version, 0), coalesce(s.action, ''), coalesce(s.action_version, 0),
		coalesce(s.copy, ''), coalesce(s.copy_version, 0) FROM decisions d LEFT JOIN arms a ON a.id = d.arm LEFT JOIN arms s ON s.id = d.shadow
		WHERE d.shopper IN (`+sameShopper+`) ORDER BY d.serial DESC LIMIT ?`, shopper, shopper, shopper, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ExportedDecision
	for rows.Next() {
		var arm, shadow juncture.Arm
		d, err := scanDecision(rows, &arm.Action, &arm.ActionVersion, &arm.Copy, &arm.CopyVersion, &shadow.Action, &shadow.ActionVersion, &shadow.Copy, &shadow.CopyVersion)
		if err != nil {
			return nil, err
		}
		out = append(out, ExportedDecision{Serial: d.Serial, At: d.At, Surface: d.Surface, Experiment: d.Experiment, Group: d.Group, Arm: arm.String(),
			Intersection: d.Intersection.Key(), Probability: d.Probability, Reason: d.Reason, Detail: d.Detail, Shopper: d.Shopper,
			Session: d.Session})
		if d.Shadow != 0 {
			out[len(out)-1].Shadow = shadow.String()
		}
	}
	return out, rows.Err()
}

// addOutcomes adds those that the decision holds, then those of the shared ones that others hold.
func (d *ExportedDecision) addOutcomes(ctx context.Context, tx *sqlx.Tx, shared []juncture.Outcome) error {
	found, err := scanOutcomes(tx.QueryContext(ctx, `SELECT `+outcomeColumns+` FROM outcomes WHERE serial = ? ORDER BY received DESC, event, outcome_id`, int64(d.Serial)))
	d.Outcomes = []ExportedOutcome{}
	for _, o := range shared {
		if o.Serial != d.Serial && o.ShareOf(d.Serial) > 0 {
			o.Status = juncture.StatusCredited
			found = append(found, o)
		}
	}
	for _, o := range found {
		d.Outcomes = append(d.Outcomes, ExportedOutcome{Event: o.Event, ID: o.ID, Adjusts: o.Adjusts, Value: o.Value, Currency: o.Currency, At: o.At,
			Credit: o.ShareOf(d.Serial), Status: o.Status})
	}
	return err
}
