package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/experiments"
)

// What the form of a cluster takes, and what the page of the layers lists.
const (
	clustersLimit = 12
	nameMost      = 80  // bytes
	toneMost      = 500 // bytes
	wordsMost     = 50
	wordMost      = 80 // bytes
)

// clustersPart is the taste clusters on the page of the layers.
type clustersPart struct {
	Lines             []clusterLine
	Of                int // all clusters
	All               string
	Shoppers          int64 // they were learnt from
	Version           int64
	CSV               string
	MayEdit, MayLearn bool
	Problem           string // why they were not learnt again
	Saved             string // the name of a cluster that has just been changed
}

type clusterLine struct {
	ID, Name, Href   string
	Renamed          bool
	Shoppers         int64
	Bar              float64
	Top              []string
	Tone, Use, Avoid string
}

func viewCluster(v juncture.ClusterView, most int) clusterLine {
	l := clusterLine{ID: v.ID, Name: clip(or(v.Name, v.ID), longestText), Href: clusterURL(v.ID), Renamed: v.Renamed, Shoppers: int64(v.Size),
		Bar: float64(v.Size) / float64(max(most, 1)), Tone: clip(v.Voice.Tone, toneMost), Use: listWords(v.Voice.Use), Avoid: listWords(v.Voice.Avoid)}
	for _, a := range v.Top {
		l.Top = append(l.Top, clip(a, longestText))
	}
	return l
}

func listWords(v []string) string { return clip(strings.Join(v, ", "), 300) }

func clusterURL(id string) string { return clusterPath + url.PathEscape(id) }

func viewClusters(v juncture.ClustersView, q layersQuery) *clustersPart {
	p := &clustersPart{Of: len(v.Items), Shoppers: int64(v.Shoppers), Version: v.Version, CSV: layersPath + "/clusters.csv"}
	most := 0
	for _, c := range v.Items {
		most = max(most, c.Size)
	}
	for i, c := range v.Items {
		if i == clustersLimit && !q.All {
			q.All = true
			p.All = q.url(layersPath, "clusters")
			break
		}
		p.Lines = append(p.Lines, viewCluster(c, most))
	}
	return p
}

// saved says that a cluster was changed, where there is such a cluster.
func (p *clustersPart) saved(id string) {
	for _, l := range p.Lines {
		if id != "" && l.ID == id {
			p.Saved = l.Name
		}
	}
}

// clusterPage is one cluster with the form that changes it.
type clusterPage struct {
	layout
	clusterLine
	Back     string
	MayEdit  bool
	Form     clusterForm
	Problems map[string]string // by field
}

// clusterForm is the form as it was filled in: lists have an entry a line.
type clusterForm struct{ Name, Tone, Use, Avoid string }

func (c *Console) findCluster(g *gin.Context) (juncture.ClusterView, juncture.ClustersView, error) {
	all, err := c.deps.Tastes.Clusters(g.Request.Context())
	if err != nil {
		return juncture.ClusterView{}, all, err
	}
	id := g.Param("id")
	for _, v := range all.Items {
		if v.ID == id {
			return v, all, nil
		}
	}
	return juncture.ClusterView{}, all, juncture.Errorf(juncture.CodeNotFound, "No taste cluster has the id %.80q.", id).
		WithHint("It may have retired when the clusters were learnt again. The page of the layers lists those that there are.")
}

func (c *Console) cluster(g *gin.Context) {
	v, _, err := c.findCluster(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	c.renderCluster(g, http.StatusOK, v, clusterForm{v.Name, v.Voice.Tone, strings.Join(v.Voice.Use, "\n"), strings.Join(v.Voice.Avoid, "\n")}, nil)
}

func (c *Console) renderCluster(g *gin.Context, status int, v juncture.ClusterView, form clusterForm, problems map[string]string) {
	store, err := c.deps.Source.Store(g.Request.Context())
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &clusterPage{clusterLine: viewCluster(v, v.Size), Back: layersPath + "#clusters", MayEdit: may(g, access.RoleEditor), Form: form, Problems: problems}
	p.layout = c.layoutFor(g, p.Name, store)
	c.render(g, status, "cluster", p)
}

func (c *Console) changeCluster(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	v, all, err := c.findCluster(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	said := clusterForm{form.Get("name"), form.Get("tone"), form.Get("use"), form.Get("avoid")}
	change, problems := said.change(v, all)
	if len(problems) == 0 && (change.Name != nil || change.Voice != nil) {
		err = c.deps.Tastes.ChangeCluster(g.Request.Context(), actor(g), v.ID, change)
		if e, is := errors.AsType[*juncture.Error](err); is && e.Code == juncture.CodeInvalidRequest {
			field := "name"
			if strings.HasPrefix(e.Field, "voice") || change.Name == nil {
				field = "tone"
			}
			problems, err = map[string]string{field: sentence(e.Message)}, nil
		}
	}
	switch {
	case err != nil:
		c.fail(g, err)
	case len(problems) > 0:
		c.renderCluster(g, http.StatusBadRequest, v, said, problems)
	default:
		to := url.Values{"saved": {v.ID}}
		if slices.IndexFunc(all.Items, func(o juncture.ClusterView) bool { return o.ID == v.ID }) >= clustersLimit {
			to.Set("clusters", "all")
		}
		g.Redirect(http.StatusSeeOther, layersPath+"?"+to.Encode()+"#clusters")
	}
}

// change is what the form asks for beside the cluster as it is, with what is wrong with it by field.
func (f clusterForm) change(v juncture.ClusterView, all juncture.ClustersView) (juncture.ClusterChange, map[string]string) {
	problems := map[string]string{}
	name, tone := strings.TrimSpace(f.Name), strings.TrimSpace(f.Tone)
	for field, text := range map[string]string{"name": name, "tone": tone, "use": f.Use, "avoid": f.Avoid} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			problems[field] = "This is not text."
		}
	}
	use, avoid := entries(f.Use), entries(f.Avoid)
	switch {
	case problems["name"] != "":
	case len(name) > nameMost:
		problems["name"] = "A name has at most 80 characters."
	case slices.ContainsFunc(all.Items, func(o juncture.ClusterView) bool {
		return name != "" && o.ID != v.ID && strings.EqualFold(o.Name, name)
	}):
		problems["name"] = "Another cluster has this name."
	}
	if len(tone) > toneMost {
		problems["tone"] = "A tone has at most 500 characters."
	}
	for field, list := range map[string][]string{"use": use, "avoid": avoid} {
		switch {
		case len(list) > wordsMost:
			problems[field] = "At most 50 words or phrases."
		case slices.ContainsFunc(list, func(w string) bool { return len(w) > wordMost }):
			problems[field] = "A word or phrase has at most 80 characters. Put one on each line."
		}
	}
	for _, w := range use {
		if problems["avoid"] == "" && slices.ContainsFunc(avoid, func(a string) bool { return strings.EqualFold(a, w) }) {
			problems["avoid"] = "“" + clip(w, wordMost) + "” is also a word to use."
		}
	}
	var out juncture.ClusterChange
	if name != v.Name {
		out.Name = &name // the empty one brings the automatic one back
	}
	if tone != v.Voice.Tone || !slices.Equal(use, v.Voice.Use) || !slices.Equal(avoid, v.Voice.Avoid) {
		out.Voice = &juncture.VoiceView{Tone: tone, Use: use, Avoid: avoid}
	}
	return out, problems
}

// entries reads a text with an entry a line; each counts once.
func entries(text string) []string {
	out := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}

// sentence writes a message of the core as the console does.
func sentence(s string) string {
	s = upper(clip(s, 300))
	if s != "" && !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// refitPage says what learning the clusters again did.
type refitPage struct {
	layout
	Refit   juncture.RefitView
	From    string // "24 taste clusters from 21,533 shoppers"
	Moved   string // in words
	New     []clusterLine
	Retired []string
}

const refitShow = 60 // ids of a kind

func (c *Console) refit(g *gin.Context) {
	ctx := g.Request.Context()
	v, err := c.deps.Tastes.Refit(ctx, actor(g))
	if e, is := errors.AsType[*juncture.Error](err); is && e.Code == juncture.CodeInvalidRequest {
		problem := "Nothing was learnt: " + strings.TrimSuffix(e.Message, ".") + "."
		if e.Hint != "" {
			problem += " " + sentence(e.Hint)
		}
		c.layersWith(g, http.StatusBadRequest, problem)
		return
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	store, err := c.deps.Source.Store(ctx)
	if err != nil {
		c.fail(g, err)
		return
	}
	all, err := c.deps.Tastes.Clusters(ctx)
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &refitPage{layout: c.layoutFor(g, "Learnt again", store), Refit: v, Moved: "nobody had a cluster before or has one now",
		From: plural(v.Clusters, "taste cluster", "taste clusters") + " from " + plural(v.Shoppers, "shopper", "shoppers")}
	if v.Of > 0 {
		p.Moved = experiments.Count(int64(v.Moved)) + " of " + experiments.Count(int64(v.Of)) + " (" + fewPart(float64(v.Moved)/float64(v.Of)) + ")"
	}
	for _, id := range v.New[:min(len(v.New), refitShow)] {
		l := clusterLine{ID: id, Name: clip(id, longestText)}
		if i := slices.IndexFunc(all.Items, func(c juncture.ClusterView) bool { return c.ID == id }); i >= 0 {
			l = viewCluster(all.Items[i], 0)
		}
		p.New = append(p.New, l)
	}
	for _, id := range v.Retired[:min(len(v.Retired), refitShow)] {
		p.Retired = append(p.Retired, clip(id, longestText))
	}
	c.render(g, http.StatusOK, "refit", p)
}

func (c *Console) clustersCSV(g *gin.Context) {
	all, err := c.deps.Tastes.Clusters(g.Request.Context())
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("id", "name", "renamed", "shoppers", "distinctive", "tone", "use", "avoid")
	for _, v := range all.Items {
		renamed := "no"
		if v.Renamed {
			renamed = "yes"
		}
		row := []string{v.ID, v.Name, renamed, whole(int64(v.Size)), strings.Join(v.Top, "; "), v.Voice.Tone, strings.Join(v.Voice.Use, "; "), strings.Join(v.Voice.Avoid, "; ")}
		for i := range row {
			row[i] = strings.ToValidUTF8(row[i], "\uFFFD")
		}
		t.row(row...)
	}
	t.send(g, "taste-clusters")
}
