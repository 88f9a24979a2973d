package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/juncture/juncture"
)

// WinnersQuery asks who wins where.
type WinnersQuery struct {
	Axes   []string          // axes ("lifecycle", "status") or whole layers ("moment"); none means every intersection
	Filter map[string]string // axis to the value that it must have
	Limit  int               // the most rows, those with the most traffic; 0 means 1,000
}

// Winners are the answer. Total counts the rows before the limit.
type Winners struct {
	Axes  []string `json:"axes"`
	Rows  []Winner `json:"rows"`
	Total int      `json:"total"`
}

// Winner is one combination of values with its leader.
type Winner struct {
	Segment   map[string]string `json:"segment"`
	Values    []string          `json:"values"`        // in the order of Winners.Axes
	Key       string            `json:"key,omitempty"` // of the intersection, where no axes were asked for
	Phrase    string            `json:"phrase"`
	Trials    int64             `json:"trials"`
	Successes int64             `json:"successes"`
	State     string            `json:"state"` // winner, leaning, thin or empty
	Reason    string            `json:"reason,omitempty"`
	Winner    *Leader           `json:"winner,omitempty"` // the leader; it has won only where State is winner
	RunnerUp  *Leader           `json:"runnerUp,omitempty"`
}

// Leader is an action with what is known of it in one place. Rates are shares of decisions in [0, 1].
type Leader struct {
	Action    string  `json:"action"`
	Name      string  `json:"name"`
	Copy      string  `json:"copy"` // its best copy
	Mean      float64 `json:"mean"`
	Low       float64 `json:"low"` // of the 95% interval
	High      float64 `json:"high"`
	PBest     float64 `json:"pBest"`    // probability of being the best action
	Loss      float64 `json:"loss"`     // expected loss in rate of always choosing it
	Value     float64 `json:"value"`    // of a money goal: per decision, in major currency units
	Own       float64 `json:"own"`      // decisions here
	Borrowed  float64 `json:"borrowed"` // what broader evidence weighs, in decisions
	Successes float64 `json:"successes"`
}

// Winners reads who wins where in an experiment, most traffic first.
func (c *Client) Winners(ctx context.Context, experiment string, q WinnersQuery) (*Winners, error) {
	if experiment == "" {
		return nil, juncture.Errorf(juncture.CodeInvalidRequest, "the experiment's id is missing").WithField("experiment")
	}
	v := url.Values{}
	if len(q.Axes) > 0 {
		v.Set("axes", strings.Join(q.Axes, ","))
	}
	for axis, value := range q.Filter {
		v.Set("filter."+axis, value)
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	path := "/api/v1/experiments/" + url.PathEscape(experiment) + "/winners"
	if len(v) > 0 {
		path += "?" + v.Encode()
	}
	return call[Winners](ctx, c, http.MethodGet, path, nil, true)
}
