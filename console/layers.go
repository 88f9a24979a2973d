package console

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/experiments"
)

// valuesLimit bounds the values of an axis that the page of the layers shows; the CSV has all. Of the taste clusters it
// shows fewer, since they have a table of their own.
const (
	valuesLimit = 20
	tastesLimit = 10
)

type layersPage struct {
	layout
	Experiment    *experimentView // nil: the store has none
	Selects       []choice
	Query         layersQuery
	Shoppers      int64 // whose layers are known now
	Trials        int64
	Intersections int64
	Layers        []layerCard
	Clusters      *clustersPart // nil: not offered
	Moves         *movesPart    // nil: not offered
	Broken        []brokenLine
	BrokenCSV     string
}

// barsMost is how many bars a figure has; more go into another beside it.
const barsMost = 10

// layersQuery is what the page is asked, as it stands in the URL.
type layersQuery struct {
	Experiment string
	Days       int
	All        bool // every taste cluster
}

// daysChoices are the times that movements are counted over.
var daysChoices = []int{7, 30, 90}

const defaultDays = 30

func readLayersQuery(g *gin.Context) (layersQuery, error) {
	q := layersQuery{Experiment: g.Query("experiment"), Days: defaultDays, All: g.Query("clusters") == "all"}
	if s := g.Query("days"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || !slices.Contains(daysChoices, n) {
			return q, juncture.Errorf(juncture.CodeInvalidRequest, "Movements are counted over 7, 30 or 90 days.")
		}
		q.Days = n
	}
	return q, nil
}

func (q layersQuery) url(path, fragment string) string {
	v := url.Values{}
	if q.Experiment != "" {
		v.Set("experiment", q.Experiment)
	}
	if q.Days != defaultDays {
		v.Set("days", strconv.Itoa(q.Days))
	}
	if q.All {
		v.Set("clusters", "all")
	}
	u := url.URL{Path: path, RawQuery: v.Encode(), Fragment: fragment}
	return u.String()
}

// layerCard is a layer: what it is, where it comes from, and how shoppers and decisions spread over it.
type layerCard struct {
	ID, Title, About, Source, From string
	Axes                           []axisTable
	Hint                           string // what to do where nothing of it is known
	CSV                            string
}

type axisTable struct {
	ID, Title string
	Figures   []template.HTML // of the shoppers, in parts where they are many; empty: none is known
	Lines     []axisLine
	Decisions bool // there are some to set beside the shoppers
	More      int  // values that are not listed
}

type axisLine struct {
	Value, Title  string
	Shoppers      int64
	ShoppersShare float64
	Trials        int64
	Share         float64 // of the decisions
	Bar           float64 // against the axis's most frequent value
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

// besides are what shoppers are counted by that is no axis of a layer, under the layer that each belongs to.
var besides = [juncture.LayerCount][]string{juncture.Moment: {"window"}, juncture.Trajectory: {"posture"}}

// windowTitles name the windows as reports do.
var windowTitles = map[string]string{"new": "New (0–14 days)", "active": "Active (15–90 days)", "dormant": "Dormant (90 days or more)", "vip": "VIP (by value)"}

// mixTitle names a value on the page of the layers.
func mixTitle(what, value string, names experiments.Names) string {
	switch {
	case what == "window" && windowTitles[value] != "":
		return windowTitles[value]
	case what == "posture" && value == "none":
		return "None in particular"
	}
	return clip(names.Value(what, value), longestText)
}

func (c *Console) layers(g *gin.Context) { c.layersWith(g, http.StatusOK, "") }

// layersWith answers with the page of the layers; problem is why the taste clusters were not learnt again.
func (c *Console) layersWith(g *gin.Context, status int, problem string) {
	ctx := g.Request.Context()
	q, err := readLayersQuery(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	m, err := c.askMix(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	broken, err := c.deps.Shoppers.Quarantine(ctx)
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &layersPage{layout: c.layoutFor(g, "Layers", m.store), Query: q, BrokenCSV: layersPath + "/quarantine.csv"}
	if m.found {
		p.layout.asOf(c, m.evidence.AsOf)
		view := viewExperiment(m.experiment)
		p.Experiment, p.Selects = &view, gridSelects(m.store, m.query)[:1]
	}
	p.spread(m.mix, m.store.Layers)
	for i := range p.Layers {
		v := url.Values{"layer": {p.Layers[i].ID}}
		if q.Experiment != "" {
			v.Set("experiment", q.Experiment)
		}
		p.Layers[i].CSV = layersPath + "/mix.csv?" + v.Encode()
	}
	if c.deps.Tastes != nil {
		moves, err := c.deps.Tastes.Moves(ctx, c.deps.Now().AddDate(0, 0, -q.Days))
		if err != nil {
			c.fail(g, err)
			return
		}
		p.Moves = viewMoves(moves, q)
		p.Clusters = viewClusters(m.clusters, q)
		p.Clusters.Problem, p.Clusters.MayLearn, p.Clusters.MayEdit = problem, may(g, access.RoleAdmin), may(g, access.RoleEditor)
		p.Clusters.saved(g.Query("saved"))
	}
	for _, q := range broken {
		reason := clip(q.Reason, longestText)
		p.Broken = append(p.Broken, brokenLine{Reason: reason, Title: upper(words(reason)), Message: clip(q.Message, 300), Count: q.Count, Latest: q.Latest})
	}
	c.render(g, status, "layers", p)
}

// mix is how shoppers and decisions spread over the layers.
type mix struct {
	counts   []juncture.ValueCount
	clusters juncture.ClustersView
	cells    []juncture.Cell
}

type askedMix struct {
	asked
	mix
	found bool // an experiment
}

func (c *Console) askMix(g *gin.Context) (m askedMix, err error) {
	if m.asked, m.found, err = c.ask(g); err != nil {
		return m, err
	}
	m.cells = m.evidence.Cells
	if c.deps.Tastes == nil {
		return m, nil
	}
	if m.counts, err = c.deps.Tastes.LayerCounts(g.Request.Context()); err != nil {
		return m, err
	}
	m.mix.clusters, err = c.deps.Tastes.Clusters(g.Request.Context())
	return m, err
}

// tally is what an axis's values count.
type tally struct{ shoppers, trials int64 }

// tallies are the counts of every axis, and of what is counted besides, by value.
func (m *mix) tallies() (of map[string]map[string]tally, trials, intersections int64) {
	of = map[string]map[string]tally{}
	add := func(what, value string, t tally) {
		if of[what] == nil {
			of[what] = map[string]tally{}
		}
		value = cmp.Or(value, juncture.Unknown)
		was := of[what][value]
		of[what][value] = tally{was.shoppers + t.shoppers, was.trials + t.trials}
	}
	for _, n := range m.counts {
		layers := juncture.Layers()
		l := slices.IndexFunc(layers[:], func(l juncture.Layer) bool { return l.String() == n.What })
		if l < 0 {
			add(n.What, n.Value, tally{shoppers: n.Shoppers})
			continue
		}
		var x juncture.Intersection
		x[l] = n.Value
		for _, axis := range layers[l].Axes() {
			value, _ := x.AxisNamed(axis)
			add(axis, value, tally{shoppers: n.Shoppers})
		}
	}
	for i := range m.cells {
		here := int64(0)
		for _, r := range m.cells[i].Rows {
			if r.Event == "" {
				here += r.Tally.Trials
			}
		}
		if here == 0 {
			continue
		}
		trials += here
		intersections++
		for _, axis := range juncture.AxisNames() {
			value, _ := m.cells[i].Intersection.AxisNamed(axis)
			add(axis, value, tally{trials: here})
		}
	}
	return of, trials, intersections
}

// names are the taste clusters' names by id.
func (m *mix) names() map[string]string {
	out := make(map[string]string, len(m.clusters.Items))
	for _, c := range m.clusters.Items {
		out[c.ID] = c.Name
	}
	return out
}

// spread fills the cards of the layers.
func (p *layersPage) spread(m mix, settings map[string]juncture.LayerSetting) {
	of, trials, intersections := m.tallies()
	p.Trials, p.Intersections = trials, intersections
	names := m.names()
	for _, n := range m.counts {
		if n.What == juncture.Moment.String() {
			p.Shoppers += n.Shoppers
		}
	}
	for _, l := range juncture.Layers() {
		source := cmp.Or(settings[l.String()].Source, juncture.SourceDerived)
		card := layerCard{ID: l.String(), Title: experiments.AxisTitle(l.String()), About: layerAbout[l], Source: source, From: layerFrom[source]}
		known := false
		for _, what := range append(slices.Clone(l.Axes()), besides[l]...) {
			if len(of[what]) == 0 && slices.Contains(besides[l], what) {
				continue
			}
			card.Axes = append(card.Axes, newAxisTable(what, of[what], names))
			for value := range of[what] {
				known = known || juncture.Known(value) && of[what][value].shoppers > 0
			}
		}
		if !known && source == juncture.SourceDerived {
			card.Hint = layerHint[l]
		}
		p.Layers = append(p.Layers, card)
	}
}

// layerHint says what makes a derived layer known.
var layerHint = [juncture.LayerCount]string{
	juncture.Meaning:   "Nobody's taste is known now: it is learnt from the products of their events, of which the latest weigh most.",
	juncture.Catalogue: "No shopper has a category in focus now: it is read from what they looked at of late, and the catalogue says which product belongs where.",
}

// sorted lists the values by their shoppers, then by their decisions, the unknown one last.
func sorted(counts map[string]tally) []string {
	values := make([]string, 0, len(counts))
	for v := range counts {
		values = append(values, v)
	}
	unknown := func(v string) int {
		if juncture.Known(v) {
			return 0
		}
		return 1
	}
	slices.SortFunc(values, func(x, y string) int {
		a, b := counts[x], counts[y]
		return cmp.Or(unknown(x)-unknown(y), cmp.Compare(b.shoppers, a.shoppers), cmp.Compare(b.trials, a.trials), strings.Compare(x, y))
	})
	return values
}

func newAxisTable(what string, counts map[string]tally, names map[string]string) axisTable {
	t := axisTable{ID: what, Title: mixAxisTitle(what)}
	var all, top tally
	for _, n := range counts {
		all = tally{all.shoppers + n.shoppers, all.trials + n.trials}
		top = tally{max(top.shoppers, n.shoppers), max(top.trials, n.trials)}
	}
	t.Decisions = all.trials > 0
	values := sorted(counts)
	most := valuesLimit
	if what == juncture.Meaning.String() {
		most = tastesLimit
	}
	if len(values) > most {
		t.More = len(values) - most
		if last := values[len(values)-1]; !juncture.Known(last) { // how much is unknown always shows
			values[most-1] = last
		}
		values = values[:most]
	}
	share := func(n, of int64) float64 {
		if of == 0 {
			return 0
		}
		return float64(n) / float64(of)
	}
	var bars []chart.Bar
	for _, v := range values {
		n := counts[v]
		l := axisLine{Value: v, Title: mixTitle(what, v, names), Shoppers: n.shoppers, ShoppersShare: share(n.shoppers, all.shoppers),
			Trials: n.trials, Share: share(n.trials, all.trials), Bar: share(n.trials, top.trials)}
		t.Lines = append(t.Lines, l)
		if n.shoppers > 0 {
			bars = append(bars, chart.Bar{Label: l.Title, Text: experiments.Count(n.shoppers) + " · " + fewPart(l.ShoppersShare),
				Share: share(n.shoppers, top.shoppers), Muted: !juncture.Known(v)})
		}
	}
	for part := range slices.Chunk(bars, barsMost) {
		title := "Shoppers by " + lower(t.Title)
		if len(bars) > barsMost {
			title += ", part " + strconv.Itoa(len(t.Figures)+1)
		}
		t.Figures = append(t.Figures, chart.Bars(chart.BarFigure{ID: "mix-" + what + "-" + strconv.Itoa(len(t.Figures)), Title: title,
			Desc: experiments.Count(all.shoppers) + " shoppers. The same numbers stand in the table below.", Bars: part}))
	}
	return t
}

func mixAxisTitle(what string) string {
	switch what {
	case "window":
		return "Window"
	case "category":
		return "Category in focus"
	}
	return experiments.AxisTitle(what)
}

// fewPart is part that does not call few none.
func fewPart(v float64) string {
	if v > 0 && v < 0.005 {
		return "<1%"
	}
	return part(v)
}

func (c *Console) mixCSV(g *gin.Context) {
	m, err := c.askMix(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	of, _, _ := m.tallies()
	names := m.names()
	t := newTable("axis", "value", "title", "shoppers", "decisions")
	only, name := g.Query("layer"), "layers"
	for _, l := range juncture.Layers() {
		switch only {
		case "":
		case l.String():
			name += "-" + only
		default:
			continue
		}
		for _, what := range append(slices.Clone(l.Axes()), besides[l]...) {
			for _, v := range sorted(of[what]) {
				t.row(what, v, mixTitle(what, v, names), whole(of[what][v].shoppers), whole(of[what][v].trials))
			}
		}
	}
	t.send(g, name)
}

func (c *Console) quarantineCSV(g *gin.Context) {
	broken, err := c.deps.Shoppers.Quarantine(g.Request.Context())
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("reason", "events", "latest", "message")
	for _, q := range broken {
		t.row(strings.ToValidUTF8(q.Reason, "\uFFFD"), whole(q.Count), q.Latest.UTC().Format(time.RFC3339), strings.ToValidUTF8(q.Message, "\uFFFD"))
	}
	t.send(g, "quarantine")
}

// movesPart is how shoppers moved between moments.
type movesPart struct {
	Days  int
	Since []linkOption
	Axes  []movesTable
	CSV   string
}

// linkOption is one of a few links of which one is where the page stands.
type linkOption struct {
	Title, Href string
	Current     bool
}

type movesTable struct {
	ID, Title string
	Lines     []moveLine
	Shoppers  int64 // movements, each shopper once for each from and to
	More      int
}

type moveLine struct {
	From, To, Reason string
	Shoppers         int64
	Bar              float64
}

const movesLimit = 12 // of an axis

func viewMoves(moves []juncture.MoveCount, q layersQuery) *movesPart {
	p := &movesPart{Days: q.Days, CSV: q.url(layersPath+"/moves.csv", "")}
	for _, days := range daysChoices {
		other := q
		other.Days = days
		p.Since = append(p.Since, linkOption{strconv.Itoa(days) + " days", other.url(layersPath, "moves"), days == q.Days})
	}
	for _, axis := range juncture.Moment.Axes() {
		t := movesTable{ID: axis, Title: experiments.AxisTitle(axis)}
		most := int64(0)
		for _, m := range sortedMoves(moves) {
			if m.Axis != axis {
				continue
			}
			most = max(most, m.Shoppers)
			t.Shoppers += m.Shoppers
			if len(t.Lines) == movesLimit {
				t.More++
				continue
			}
			t.Lines = append(t.Lines, moveLine{From: mixTitle(axis, m.From, nil), To: mixTitle(axis, m.To, nil),
				Reason: upper(clip(m.Reason, 300)), Shoppers: m.Shoppers, Bar: float64(m.Shoppers) / float64(max(most, 1))})
		}
		if len(t.Lines) > 0 {
			p.Axes = append(p.Axes, t)
		}
	}
	return p
}

// sortedMoves has the most frequent first.
func sortedMoves(moves []juncture.MoveCount) []juncture.MoveCount {
	return slices.SortedStableFunc(slices.Values(moves), func(a, b juncture.MoveCount) int {
		return cmp.Or(cmp.Compare(b.Shoppers, a.Shoppers), strings.Compare(a.Axis, b.Axis), strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
	})
}

func (c *Console) movesCSV(g *gin.Context) {
	q, err := readLayersQuery(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	moves, err := c.deps.Tastes.Moves(g.Request.Context(), c.deps.Now().AddDate(0, 0, -q.Days))
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("axis", "from", "to", "shoppers", "latest_reason")
	for _, m := range sortedMoves(moves) {
		t.row(m.Axis, m.From, m.To, whole(m.Shoppers), strings.ToValidUTF8(m.Reason, "\uFFFD"))
	}
	t.send(g, "moves-"+strconv.Itoa(q.Days)+"-days")
}
