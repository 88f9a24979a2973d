package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// valuesLimit bounds the values of an axis that the page of the layers lists.
const valuesLimit = 30

type layersPage struct {
	layout
	Experiment    *experimentView // nil: the store has none
	Selects       []choice
	Trials        int64
	Intersections int64
	Layers        []layerCard
	Broken        []brokenLine
}

// layerCard is a layer: what it is, where it comes from, and how the decisions spread over it.
type layerCard struct {
	ID, Title, About, Source, From string
	Axes                           []axisTable
}

type axisTable struct {
	ID, Title string
	Lines     []axisLine
	More      int // values that are not listed
}

type axisLine struct {
	Title  string
	Trials int64
	Share  float64
	Bar    float64 // against the axis's most frequent value
}

type brokenLine struct {
	Reason, Title, Message string
	Count                  int64
	Latest                 time.Time
}

// layerAbout says what each layer describes.
var layerAbout = [juncture.LayerCount]string{
	juncture.Moment:     "Where a shopper stands with the store: how often they have ordered, what they did last, and whether they look widely or closely.",
	juncture.Meaning:    "What a shopper likes: the taste cluster of the products that they look at, keep and buy.",
	juncture.Trajectory: "Where a shopper's interest is heading: over weeks, and within the visit that runs.",
	juncture.Catalogue:  "What can be put before a shopper: the category that they have in focus.",
}

var layerFrom = map[string]string{
	juncture.SourceDerived: "Derived from the shopper's events as they come in.",
	juncture.SourceRequest: "Sent by the caller with each request.",
}

func (c *Console) layers(g *gin.Context) {
	a, found, err := c.ask(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	broken, err := c.deps.Shoppers.Quarantine(g.Request.Context())
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &layersPage{layout: c.layoutFor(g, "Layers", a.store)}
	if found {
		view := viewExperiment(a.experiment)
		p.Experiment, p.Selects = &view, gridSelects(a.store, a.query)[:1]
	}
	p.spread(a.evidence.Cells, a.store.Layers)
	for _, q := range broken {
		reason := clip(q.Reason, longestText)
		p.Broken = append(p.Broken, brokenLine{Reason: reason, Title: upper(words(reason)), Message: clip(q.Message, 300), Count: q.Count, Latest: q.Latest})
	}
	c.render(g, http.StatusOK, "layers", p)
}

// spread counts the decisions of every value of every axis, in all groups.
func (p *layersPage) spread(cells []juncture.Cell, settings map[string]juncture.LayerSetting) {
	names := juncture.AxisNames()
	counts := make(map[string]map[string]int64, len(names))
	for _, name := range names {
		counts[name] = map[string]int64{}
	}
	for i := range cells {
		trials := int64(0)
		for _, r := range cells[i].Rows {
			if r.Event == "" {
				trials += r.Tally.Trials
			}
		}
		if trials == 0 {
			continue
		}
		p.Trials += trials
		p.Intersections++
		for _, name := range names {
			value, _ := cells[i].Intersection.AxisNamed(name)
			counts[name][value] += trials
		}
	}
	for _, l := range juncture.Layers() {
		source := cmp.Or(settings[l.String()].Source, juncture.SourceDerived)
		card := layerCard{ID: l.String(), Title: experiments.AxisTitle(l.String()), About: layerAbout[l], Source: source, From: layerFrom[source]}
		for _, name := range l.Axes() {
			card.Axes = append(card.Axes, newAxisTable(name, counts[name], p.Trials))
		}
		p.Layers = append(p.Layers, card)
	}
}

// newAxisTable lists the values by their decisions, the unknown one last.
func newAxisTable(name string, counts map[string]int64, all int64) axisTable {
	t := axisTable{ID: name, Title: experiments.AxisTitle(name)}
	values := make([]string, 0, len(counts))
	most := int64(0)
	for v, n := range counts {
		values, most = append(values, v), max(most, n)
	}
	unknown := func(v string) int {
		if juncture.Known(v) {
			return 0
		}
		return 1
	}
	slices.SortFunc(values, func(x, y string) int {
		return cmp.Or(unknown(x)-unknown(y), cmp.Compare(counts[y], counts[x]), strings.Compare(x, y))
	})
	if len(values) > valuesLimit {
		t.More = len(values) - valuesLimit
		values = values[:valuesLimit]
	}
	for _, v := range values {
		t.Lines = append(t.Lines, axisLine{Title: clip(experiments.ValueTitle(name, v), longestText), Trials: counts[v],
			Share: float64(counts[v]) / float64(all), Bar: float64(counts[v]) / float64(most)})
	}
	return t
}
