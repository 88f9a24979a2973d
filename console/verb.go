package console

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// verbPage asks before something is done to an experiment, and says afterwards what to know of it.
type verbPage struct {
	layout
	Name, Surface, Back string
	Verb, Verbed, Does  string
	Risky               bool
	Arms                []option // of ship
	Reason              string
	Problems            map[string]string // by field; "" of the whole
	Hint                string
	Done                string   // it was done
	Warnings            []string // what to know of it
}

// findTrial is the experiment of the path; what it is now decides what may be done.
func (c *Console) findTrial(g *gin.Context) (juncture.ExperimentView, error) {
	xs, _, err := c.deps.Trials.Experiments(g.Request.Context())
	if err != nil {
		return juncture.ExperimentView{}, err
	}
	i := slices.IndexFunc(xs, func(x juncture.ExperimentView) bool { return x.ID == g.Param("id") })
	if i < 0 {
		return juncture.ExperimentView{}, juncture.Errorf(juncture.CodeNotFound, "No experiment is called %.80q.", g.Param("id")).WithHint("The page of the experiments lists those that there are.")
	}
	return xs[i], nil
}

func (c *Console) askVerb(verb juncture.Verb) gin.HandlerFunc {
	return func(g *gin.Context) {
		x, err := c.findTrial(g)
		if err == nil && !slices.Contains(x.Next, verb) {
			err = juncture.Errorf(juncture.CodeDecisionConflict, "%s is %s: it cannot %s now.", experiments.Title(x.ID), x.State, strings.ToLower(verbTitles[verb])).WithHint("Somebody may have been quicker. Look at the experiment again.")
		}
		if err != nil {
			c.fail(g, err)
			return
		}
		c.renderVerb(g, http.StatusOK, x, verb, &verbPage{}, juncture.ExperimentChange{})
	}
}

func (c *Console) renderVerb(g *gin.Context, status int, x juncture.ExperimentView, verb juncture.Verb, p *verbPage, said juncture.ExperimentChange) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	if err != nil {
		c.fail(g, err)
		return
	}
	p.Name, p.Surface, p.Back = clip(experiments.Title(x.ID), longestText), clip(experiments.Title(x.Surface), longestText), trialURL(x.ID, "")
	p.Verb, p.Verbed, p.Does = string(verb), verbTitles[verb], verbDoes[verb]
	p.Risky = verb == juncture.VerbStop || verb == juncture.VerbShip
	p.Reason = clip(said.Reason, 2*juncture.MaxReason)
	if verb == juncture.VerbShip {
		ev, err := c.deps.Source.Evidence(ctx, x.ID)
		if err != nil {
			c.fail(g, err)
			return
		}
		p.Arms = shippable(ev, said)
	}
	p.layout = c.layoutFor(g, p.Verbed+": "+p.Name, store)
	c.render(g, status, "verb", p)
}

// shippable are the actions that are live, each with the first of its copy that is written for everybody, and then with each
// copy by name. Whether a copy is written for everybody is for ChangeExperiment to refuse.
func shippable(ev experiments.Evidence, said juncture.ExperimentChange) []option {
	var arms []juncture.Arm
	for _, a := range ev.Arms {
		if a.Live {
			arms = append(arms, juncture.Arm{Action: a.Arm.Action}, juncture.Arm{Action: a.Arm.Action, Copy: a.Arm.Copy})
		}
	}
	slices.SortFunc(arms, func(a, b juncture.Arm) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Copy, b.Copy))
	})
	arms = slices.Compact(arms)
	out := []option{{"", "Choose the action", said.Action == ""}}
	for _, a := range arms {
		title := clip(experiments.Title(a.Action), longestText)
		if a.Copy == "" {
			title += ", its first copy for everybody"
		} else {
			title += ", copy " + clip(a.Copy, longestText)
		}
		out = append(out, option{armValue(a.Action, a.Copy), title, said.Action == a.Action && said.Copy == a.Copy})
	}
	return out
}

// armValue joins an action and copy for a form; neither has a slash in its id.
func armValue(action, copy string) string {
	if copy == "" {
		return action
	}
	return action + "/" + copy
}

func (c *Console) doVerb(verb juncture.Verb) gin.HandlerFunc {
	return func(g *gin.Context) {
		form, ok := c.readForm(g)
		if !ok {
			return
		}
		x, err := c.findTrial(g)
		if err != nil {
			c.fail(g, err)
			return
		}
		said := juncture.ExperimentChange{Reason: strings.TrimSpace(form.Get("reason"))}
		if verb == juncture.VerbShip {
			said.Action, said.Copy, _ = strings.Cut(form.Get("arm"), "/")
		}
		p := &verbPage{}
		v, err := c.deps.Trials.ChangeExperiment(g.Request.Context(), actor(g), x.ID, verb, said)
		e, known := errors.AsType[*juncture.Error](err)
		switch {
		case err == nil && len(v.Warnings) == 0:
			g.Redirect(http.StatusSeeOther, trialURL(x.ID, "")+"?done="+string(verb))
		case err == nil:
			p.Done = verbDone[verb]
			for _, w := range v.Warnings {
				p.Warnings = append(p.Warnings, sentence(w))
			}
			c.renderVerb(g, http.StatusOK, v, verb, p, said)
		case known && e.Code.Status() < 500 && e.Code != juncture.CodeNotFound:
			field := map[string]string{"reason": "reason", "action": "arm", "copy": "arm"}[e.Field]
			p.Problems = map[string]string{field: sentence(e.Message)}
			switch {
			case field == "reason" && said.Reason == "":
				p.Problems[field] = "Say why in a few words: the audit log keeps it."
			case field == "arm" && said.Action == "":
				p.Problems[field] = "Choose the action that everybody will be served."
			case field == "":
				p.Hint = sentence(e.Hint)
			}
			c.renderVerb(g, e.Code.Status(), x, verb, p, said)
		default:
			c.fail(g, err)
		}
	}
}
