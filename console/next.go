package console

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

const followUpPath = "/console/intersections/next"

// The lists of the page, as its exports name them.
const (
	nextApart = "apart"
	nextThin  = "thin"
	nextCopy  = "copy"
)

type nextPage struct {
	layout
	Experiment experimentView
	Metric     metric
	Next       experiments.Next
	RowTitle   string
	ColTitle   string
	Selects    []choice
	Filters    []choice
	Filtered   bool
	Clear      string
	Apart      []nextCell
	Thin       []nextCell
	Copy       []nextCell
	Back       string
	CSVs       map[string]string
}

// nextCell is a cell of one of the lists.
type nextCell struct {
	experiments.NextCell
	Href     string
	Letter   string
	Index    int
	Theirs   string
	Share    float64 // that disagrees, or of the traffic
	Note     string
	Stake    string
	Lead     string
	PBest    float64
	Needed   int64
	Counted  int
	Counting int
}

func (c *Console) mountNext(get func(path string, h ...gin.HandlerFunc)) {
	get(followUpPath, c.next)
	get(followUpPath+".csv", c.nextCSV)
}

// askNext reads the lists of the grid that was asked for, of at most so many cells (0: of all).
func (c *Console) askNext(g *gin.Context, most int) (asked, experiments.Grid, experiments.Next, error) {
	a, err := c.mustAsk(g)
	if err != nil {
		return a, experiments.Grid{}, experiments.Next{}, err
	}
	grid, err := a.buildGrid(most)
	if err != nil {
		return a, grid, experiments.Next{}, err
	}
	return a, grid, experiments.NextOf(grid), nil
}

func (c *Console) next(g *gin.Context) {
	a, grid, n, err := c.askNext(g, cellsLimit)
	if err != nil {
		c.fail(g, err)
		return
	}
	q := a.query
	p := &nextPage{Experiment: viewExperiment(a.experiment), Metric: newMetric(a.experiment, grid.Money, grid.Currency), Next: n, RowTitle: grid.Rows.Title, ColTitle: grid.Cols.Title,
		Selects: gridSelects(a.store, q), Filters: gridFilters(&grid, q, a.evidence.Names), Filtered: len(q.Filter) > 0, Clear: query{Experiment: q.Experiment, Rows: q.Rows, Cols: q.Cols}.url(followUpPath),
		Back: q.url(gridPath), CSVs: map[string]string{}}
	for _, list := range []string{nextApart, nextThin, nextCopy} {
		path := q.url(followUpPath + ".csv")
		if strings.Contains(path, "?") {
			path += "&"
		} else {
			path += "?"
		}
		p.CSVs[list] = path + "list=" + list
	}
	info := map[string]experiments.ActionInfo{}
	for _, x := range grid.Actions {
		info[x.Action] = x
	}
	line := func(at experiments.NextCell) nextCell {
		l := nextCell{NextCell: at, Letter: info[at.Leader].Letter, Index: info[at.Leader].Index, Href: q.with(q.Rows, at.Row).with(q.Cols, at.Col).url(listPath)}
		if at.Key != "" {
			l.Href = intersectionURL(intersectionPath, q.Experiment, at.Key)
		}
		return l
	}
	for _, x := range n.Apart {
		l := line(x.NextCell)
		l.Theirs, l.Share, l.PBest, l.Counted, l.Counting = x.TheirName, x.Disagreement, x.PBest, x.Others, x.Neighbours
		p.Apart = append(p.Apart, l)
	}
	for _, x := range n.Thin {
		l := line(x.NextCell)
		l.Share, l.Needed, l.Note = x.Share, x.Needed, x.Why
		p.Thin = append(p.Thin, l)
	}
	for _, x := range n.Copy {
		l := line(x.NextCell)
		l.Share, l.Theirs = x.Disagreement, x.RunnerUp
		l.Lead, l.Stake = points(x.Lead), experiments.Count(int64(x.Stake+0.5))
		if n.Money {
			l.Lead, l.Stake = experiments.Money(x.Lead, n.Currency), experiments.Money(x.Stake, n.Currency)
		}
		p.Copy = append(p.Copy, l)
	}
	p.layout = c.layoutFor(g, "What to look at next", a.store)
	p.layout.asOf(c, a.evidence.AsOf)
	c.render(g, http.StatusOK, "next", p)
}

func (c *Console) nextCSV(g *gin.Context) {
	a, _, n, err := c.askNext(g, 0)
	list := g.Query("list")
	head := []string{n.Rows, n.Cols, "leader", "decisions"}
	var t *table
	switch list {
	case nextApart:
		t = newTable(append(head, "p_best", "neighbours", "others", "disagreement", "theirs")...)
		for _, x := range n.Apart {
			t.row(x.Row, x.Col, x.Leader, whole(x.Trials), number(x.PBest), whole(int64(x.Neighbours)), whole(int64(x.Others)), number(x.Disagreement), x.Theirs)
		}
	case nextThin:
		t = newTable(append(head, "share", "needed", "why")...)
		for _, x := range n.Thin {
			t.row(x.Row, x.Col, x.Leader, whole(x.Trials), number(x.Share), whole(x.Needed), x.Why)
		}
	case nextCopy:
		t = newTable(append(head, "disagreement", "lead", "runner_up", "stake")...)
		for _, x := range n.Copy {
			t.row(x.Row, x.Col, x.Leader, whole(x.Trials), number(x.Disagreement), number(x.Lead), x.RunnerUp, number(x.Stake))
		}
	default:
		if err == nil {
			err = juncture.Errorf(juncture.CodeInvalidRequest, "There is no list %.40q.", list).WithHint("One of apart, thin, copy.")
		}
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	t.send(g, a.experiment.ID+"-"+list)
}
