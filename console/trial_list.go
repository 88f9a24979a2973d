package console

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/experiments/report"
)

// trialsPath is where the experiments are listed; each stands under it by its id, as does each holdout.
const trialsPath = "/console/experiments"

// mountTrials adds the pages Overview and Experiments.
func (c *Console) mountTrials(get func(g gin.IRoutes, path string, h ...gin.HandlerFunc), people *gin.RouterGroup) {
	if c.deps.Trials == nil {
		get(people, homePath, c.grid)
		return
	}
	get(people, homePath, c.overview)
	get(people, trialsPath, c.trialList)
	get(people, trialsPath+".csv", c.trialListCSV)
	get(people, trialsPath+"/:id", c.trialOne)
	for _, table := range trialTables() {
		get(people, trialsPath+"/:id/"+table+".csv", c.trialCSV(table))
	}
	if c.deps.WhatIf != nil {
		get(people, trialsPath+"/:id/what-if", c.whatIf)
		get(people, trialsPath+"/:id/what-if.csv", c.whatIfCSV)
	}
	for _, verb := range juncture.Verbs() {
		get(people, trialsPath+"/:id/"+string(verb), c.least(leastRole(verb)), c.askVerb(verb))
		people.POST(trialsPath+"/:id/"+string(verb), c.least(leastRole(verb)), c.doVerb(verb))
	}
}

type trialListPage struct {
	layout
	Lead     string
	Lines    []trialView
	Of       int
	Holdouts []trialView
	Health   bool
	CSV      string
	Editor   bool
}

func (c *Console) trialList(g *gin.Context) {
	store, err := c.deps.Source.Store(g.Request.Context())
	if err != nil {
		c.fail(g, err)
		return
	}
	all, holdouts, _, err := c.trials(g, trialsLimit)
	if err != nil {
		c.fail(g, err)
		return
	}
	waits := 0
	l := c.layoutFor(g, "Experiments", store)
	for _, v := range all {
		waits += len(v.Waits)
		l.asOf(c, v.AsOf)
	}
	for _, v := range holdouts {
		l.asOf(c, v.AsOf)
	}
	p := &trialListPage{layout: l, Lines: all, Of: len(store.Experiments), Holdouts: holdouts, Lead: overviewLead(all, waits),
		Health: c.deps.Health != nil, CSV: trialsPath + ".csv", Editor: may(g, access.RoleApprover)}
	c.render(g, http.StatusOK, "experiments", p)
}

func (c *Console) trialListCSV(g *gin.Context) {
	all, holdouts, reports, err := c.trials(g, 1<<20)
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("id", "kind", "surface", "state", "started", "shoppers", "outcome", "measure", "over", "relative", "low", "high", "fixed_low", "fixed_high", "p", "per_1000", "gate", "decisions_7_days", "says")
	for _, v := range append(all, holdouts...) {
		r := reports[v.ID]
		kind, started, gate := "experiment", "", ""
		if v.Holdout {
			kind = "holdout"
		}
		if r.Started != nil {
			started = r.Started.UTC().Format("2006-01-02T15:04:05Z")
		}
		if r.Gate != nil {
			gate = string(r.Gate.State)
		}
		row := []string{v.ID, kind, r.Surface, v.State.Text, started, whole(v.Shoppers)}
		if l, ok := r.Opening(); ok {
			row = append(row, l.Outcome, l.Measure, l.Over.String())
			row = append(append(row, boundsCells(l.Relative)...), perThousand(l))
		} else {
			row = append(row, "", "", "", "", "", "", "", "", "", "")
		}
		row = append(row, gate, whole(v.Week), r.Sentence)
		t.row(valid(row)...)
	}
	t.send(g, "experiments")
}

// boundsCells are an estimate with its two intervals and P; empty where there are none.
func boundsCells(b report.Bounds) []string {
	if b.NotEnough != "" {
		return []string{"", "", "", "", "", ""}
	}
	return []string{number(b.Estimate), number(b.Low), number(b.High), number(b.FixedLow), number(b.FixedHigh), number(b.P)}
}

func perThousand(l report.Lift) string {
	if l.Thousand.NotEnough != "" {
		return ""
	}
	return number(l.Thousand.Estimate)
}

// valid mends text that is not UTF-8.
func valid(row []string) []string {
	for i := range row {
		row[i] = strings.ToValidUTF8(row[i], "\uFFFD")
	}
	return row
}
