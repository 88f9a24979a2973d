package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	"github.com/juncture/juncture"
)

// DecisionRow is a decision as `juncture export decisions` writes it, a JSON object a line.
type DecisionRow struct {
	DecisionID    string          `json:"decisionId"`
	Time          time.Time       `json:"time"`
	Experiment    string          `json:"experiment"` // empty: none was running
	Surface       string          `json:"surface"`
	Shopper       string          `json:"shopper"` // the first-seen id; empty: consent was denied
	Session       string          `json:"session"`
	Intersection  string          `json:"intersection"`
	Moment        string          `json:"moment"`
	Meaning       string          `json:"meaning"`
	Trajectory    string          `json:"trajectory"`
	Catalogue     string          `json:"catalogue"`
	Group         juncture.Group  `json:"group"`
	Share         float64         `json:"share"`       // the group's
	Arm           string          `json:"arm"`         // action@version/copy@version; "-": no arm
	Probability   float64         `json:"probability"` // of the arm, given the group
	Ranking       []RankingRow    `json:"ranking"`     // the eligible arms
	Reason        juncture.Reason `json:"reason"`
	Detail        juncture.Detail `json:"detail"`
	Active        bool            `json:"active"`    // it is a trial
	Ignored       bool            `json:"ignored"`   // preview, denied consent: never a trial
	Deferred      bool            `json:"deferred"`  // a trial only from its activation
	Activated     *time.Time      `json:"activated"` // null: it was not
	Served        string          `json:"served"`    // the arm that the page showed instead; empty: the decided one
	PolicyVersion string          `json:"policyVersion"`
	RewardUntil   time.Time       `json:"rewardUntil"`
}

// RankingRow is an eligible arm with its probability.
type RankingRow struct {
	Arm         string   `json:"arm"`
	Probability float64  `json:"probability"`
	Policy      *float64 `json:"policy,omitempty"` // where the random group drew: what the policy would have given
}

// OutcomeRow is an outcome as `juncture export outcomes` writes it.
type OutcomeRow struct {
	DecisionID string          `json:"decisionId"`
	Event      string          `json:"event"`
	OutcomeID  string          `json:"outcomeId"`
	Value      float64         `json:"value"` // of an adjustment: the change
	Currency   string          `json:"currency"`
	OccurredAt time.Time       `json:"occurredAt"`
	ReceivedAt time.Time       `json:"receivedAt"`
	Status     juncture.Status `json:"status"`
	Adjusts    *string         `json:"adjusts"` // null: it is no adjustment
}

// ExportRows writes a settled decision as its rows. arms names them, id is the decision's.
func ExportRows(s *juncture.Settled, id string, arms map[juncture.ArmID]juncture.Arm) (DecisionRow, []OutcomeRow) {
	x := s.Intersection
	d := DecisionRow{DecisionID: id, Time: s.At, Experiment: s.Experiment, Surface: s.Surface, Shopper: s.Shopper, Session: s.Session, Intersection: x.Key(),
		Moment: x.Value(juncture.Moment), Meaning: x.Value(juncture.Meaning), Trajectory: x.Value(juncture.Trajectory), Catalogue: x.Value(juncture.Catalogue),
		Group: s.Group, Share: s.Share, Arm: arms[s.Arm].String(), Probability: s.Probability, Ranking: make([]RankingRow, len(s.Ranking)), Reason: s.Reason, Detail: s.Detail,
		Active:  s.Settlement(juncture.OutcomeType{}, "").Active(),
		Ignored: s.Ignored, Deferred: s.Deferred, PolicyVersion: s.Version, RewardUntil: s.Until}
	for i, r := range s.Ranking {
		d.Ranking[i] = RankingRow{Arm: arms[r.Arm].String(), Probability: r.Probability}
		if i < len(s.Policy) {
			d.Ranking[i].Policy = &s.Policy[i]
		}
	}
	if a := s.Activation; a != nil {
		d.Activated = &a.At
		if a.Served {
			d.Served = arms[a.Arm].String()
		}
	}
	out := make([]OutcomeRow, len(s.Outcomes))
	for i, o := range s.Outcomes {
		out[i] = OutcomeRow{DecisionID: id, Event: o.Event, OutcomeID: o.ID, Value: o.Value, Currency: o.Currency, OccurredAt: o.At, ReceivedAt: o.Received, Status: o.Status}
		if o.Adjust {
			out[i].Adjusts = &s.Outcomes[i].Adjusts
		}
	}
	return d, out
}

// SettledLog is the two files of an export, read together. Both are in the order in which they were exported.
type SettledLog struct {
	Decisions, Outcomes io.Reader // gzipped or not; Outcomes nil: none
	Types               []juncture.OutcomeType
	Currency            string // of the store

	ids   map[juncture.Arm]juncture.ArmID
	names map[juncture.ArmID]juncture.Arm
}

// Arm names an arm of the decisions read so far.
func (l *SettledLog) Arm(id juncture.ArmID) (juncture.Arm, bool) {
	a, ok := l.names[id]
	return a, ok
}

// All reads the decisions with their outcomes, one in memory at a time. Decisions are numbered from 1; arms too, as they
// come. The walk ends with the first error, which names the line: CodeInvalidRequest.
func (l *SettledLog) All() iter.Seq2[juncture.Settled, error] {
	return func(yield func(juncture.Settled, error) bool) {
		l.ids, l.names = map[juncture.Arm]juncture.ArmID{}, map[juncture.ArmID]juncture.Arm{}
		decisions, stop, err := objects[DecisionRow](l.Decisions, "decisions")
		if err != nil {
			yield(juncture.Settled{}, err)
			return
		}
		defer stop()
		outcomes, stop, err := objects[OutcomeRow](l.Outcomes, "outcomes")
		if err == nil {
			defer stop()
		}
		var waiting *OutcomeRow
		if err == nil {
			waiting, err = outcomes()
		}
		for serial := uint64(1); err == nil; serial++ {
			var row *DecisionRow
			if row, err = decisions(); row == nil || err != nil {
				break
			}
			var s juncture.Settled
			if s, err = l.settled(serial, row); err != nil {
				break
			}
			for err == nil && waiting != nil && waiting.DecisionID == row.DecisionID {
				var o juncture.Outcome
				if o, err = l.outcome(serial, waiting); err == nil {
					s.Outcomes = append(s.Outcomes, o)
					waiting, err = outcomes()
				}
			}
			if err == nil && !yield(s, nil) {
				return
			}
		}
		if err == nil && waiting != nil {
			err = juncture.Errorf(juncture.CodeInvalidRequest, "the outcomes name the decision %.80q, which is not among the decisions, or not in their order", waiting.DecisionID).
				WithHint("export both with the same --experiment, --from and --to")
		}
		if err != nil {
			yield(juncture.Settled{}, err)
		}
	}
}

// objects reads one JSON object a line; nil at the end. A nil reader has none. stop ends the reading early.
func objects[T any](r io.Reader, what string) (next func() (*T, error), stop func(), _ error) {
	if r == nil {
		return func() (*T, error) { return nil, nil }, func() {}, nil
	}
	br, err := open(r)
	if err != nil {
		return nil, nil, err
	}
	pull, stop := iter.Pull2(lines(br, maxRecord))
	return func() (*T, error) {
		line, err, ok := pull()
		if !ok {
			return nil, nil
		}
		v := new(T)
		if err == nil {
			d := json.NewDecoder(bytes.NewReader(line.b))
			d.DisallowUnknownFields()
			if err = d.Decode(v); err == nil && d.More() {
				err = errors.New("more than one object in the line")
			}
		}
		if err != nil {
			return nil, juncture.Errorf(juncture.CodeInvalidRequest, "line %d of the %s: %w", line.line, what, err).WithHint("they are read as juncture export writes them, --format ndjson")
		}
		return v, nil
	}, stop, nil
}

func (l *SettledLog) arm(name string) (juncture.ArmID, error) {
	a, err := juncture.ParseArm(name)
	if err != nil || a == (juncture.Arm{}) {
		return 0, err
	}
	id, ok := l.ids[a]
	if !ok {
		if len(l.ids) >= mostArms {
			return 0, juncture.Errorf(juncture.CodeInvalidRequest, "more than %d arms", mostArms)
		}
		id = juncture.ArmID(len(l.ids) + 1)
		l.ids[a], l.names[id] = id, a
	}
	return id, nil
}

// mostArms bounds the arms of a log, versions apart.
const mostArms = 100_000

func (l *SettledLog) settled(serial uint64, row *DecisionRow) (s juncture.Settled, err error) {
	bad := func(format string, args ...any) error {
		return juncture.Errorf(juncture.CodeInvalidRequest, "decision %d (%.80q): %w", serial, row.DecisionID, fmt.Errorf(format, args...))
	}
	probable := func(p float64) bool { return p >= 0 && p <= 1+1e-9 } // not NaN: JSON has none
	s.Decision = juncture.Decision{Surface: row.Surface, Shopper: row.Shopper, Session: row.Session, Reason: row.Reason, Detail: row.Detail, Share: row.Share, Version: row.PolicyVersion,
		Claims: juncture.Claims{Serial: serial, At: row.Time, Until: row.RewardUntil, Experiment: row.Experiment, Group: row.Group, Probability: row.Probability, Ignored: row.Ignored, Deferred: row.Deferred}}
	if s.Intersection, err = juncture.ParseIntersection(row.Intersection); err != nil {
		return s, bad("%w", err)
	}
	if s.Arm, err = l.arm(row.Arm); err != nil {
		return s, bad("%w", err)
	}
	if row.Time.IsZero() || row.RewardUntil.Before(row.Time) || !probable(row.Share) || !probable(row.Probability) {
		return s, bad("time, rewardUntil, share or probability is missing or impossible")
	}
	for _, r := range row.Ranking {
		id, err := l.arm(r.Arm)
		if err != nil {
			return s, bad("%w", err)
		}
		if id == 0 || !probable(r.Probability) || r.Policy != nil && !probable(*r.Policy) {
			return s, bad("the ranking has the arm %.80q at %g", r.Arm, r.Probability)
		}
		s.Ranking = append(s.Ranking, juncture.Ranked{Arm: id, Probability: r.Probability})
		if r.Policy != nil {
			s.Policy = append(s.Policy, *r.Policy)
		}
	}
	if len(s.Policy) != 0 && len(s.Policy) != len(s.Ranking) {
		return s, bad("of %d arms %d say what the policy would have given", len(s.Ranking), len(s.Policy))
	}
	if row.Activated != nil {
		s.Activation = &juncture.Activation{Serial: serial, At: *row.Activated, Arm: s.Arm}
		if row.Served != "" {
			s.Activation.Served = true
			if s.Activation.Arm, err = l.arm(row.Served); err != nil {
				return s, bad("%w", err)
			}
		}
	}
	return s, nil
}

func (l *SettledLog) outcome(serial uint64, row *OutcomeRow) (juncture.Outcome, error) {
	o := juncture.Outcome{Serial: serial, Event: row.Event, ID: row.OutcomeID, Value: row.Value, Currency: row.Currency, At: row.OccurredAt, Received: row.ReceivedAt, Status: row.Status}
	if row.Adjusts != nil {
		o.Adjust, o.Adjusts = true, *row.Adjusts
	}
	if math.Abs(row.Value) > juncture.DefaultBound*1000 {
		return o, juncture.Errorf(juncture.CodeInvalidRequest, "an outcome of decision %.80q has the value %g", row.DecisionID, row.Value)
	}
	for _, t := range l.Types {
		if t.Name == row.Event {
			o.Minor = t.Minor(row.Value, l.Currency)
		}
	}
	return o, nil
}
