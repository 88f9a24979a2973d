package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/experiments"
)

// People manages who may sign in. Changes are audited behind it, as those of keys and links are.
type People interface {
	Users(ctx context.Context) (juncture.UsersView, error)
	CreateUser(ctx context.Context, who access.Who, r juncture.UserRequest) (juncture.PasswordView, error)
	ChangeUser(ctx context.Context, who access.Who, name string, c juncture.UserChange) error
	ResetPassword(ctx context.Context, who access.Who, name string) (juncture.PasswordView, error)
	EndSessions(ctx context.Context, who access.Who, name string) error
}

// Keys manages API keys.
type Keys interface {
	Keys(ctx context.Context) (juncture.KeysView, error)
	CreateKey(ctx context.Context, who access.Who, r juncture.KeyRequest) (juncture.KeyMade, error)
	RevokeKey(ctx context.Context, who access.Who, id string) error
}

// Settings is what the store runs with.
type Settings interface {
	Settings(ctx context.Context) (juncture.SettingsView, error)
}

const settingsPath = "/console/settings"

// who names the person who asks, for the audit log.
func who(g *gin.Context) access.Who { return access.Who{Actor: actor(g), From: "console"} }

func (c *Console) mountSettings(people gin.IRoutes) {
	if c.deps.People == nil || c.deps.Keys == nil || c.deps.Shares == nil || c.deps.Settings == nil {
		return
	}
	admin := c.least(access.RoleAdmin)
	people.GET(settingsPath, admin, func(g *gin.Context) { c.settings(g, http.StatusOK, &settingsPage{}) })
	for _, table := range settingsTables() {
		people.GET(settingsPath+"/"+table+".csv", admin, c.settingsCSV(table))
	}
	people.POST(settingsPath+"/users", admin, c.createUser)
	people.POST(settingsPath+"/users/:name", admin, c.changeUser)
	people.POST(settingsPath+"/keys", admin, c.createKey)
	people.POST(settingsPath+"/keys/:id/revoke", admin, c.revoke("key", c.deps.Keys.RevokeKey))
	people.POST(settingsPath+"/shares/:id/revoke", admin, c.revoke("share", c.deps.Shares.RevokeShare))
}

// settingsPage is people, keys, links and what the store runs with.
type settingsPage struct {
	layout
	Cut      []string // what is not listed whole
	Lead     string
	Users    []userLine
	Keys     []keyLine
	Shares   []shareLine
	Groups   []juncture.SettingGroup
	Roles    []option
	Scopes   []option // Selected: ticked
	Days     int      // that a link holds at most
	Form     settingsForm
	Problems map[string]string // by field
	Problem  string            // of a change that has no field
	Made     *madeView
	Done     string
}

// settingsForm is what was typed, when it has to be shown again.
type settingsForm struct {
	Name                string // of the user
	KeyName, KeyOrigins string
	KeyPublishable      bool
}

// madeView is a secret, shown once.
type madeView struct{ Title, Secret, Note string }

type userLine struct {
	juncture.UserView
	Href  string
	Me    bool
	Roles []option
}

type keyLine struct {
	juncture.KeyView
	Scopes, Origins string
	Href            string
}

type shareLine struct {
	juncture.ShareView
	Live bool
	Href string
}

func roleOptions(selected string) []option {
	var out []option
	for _, r := range access.Roles() {
		out = append(out, option{string(r), strings.ToUpper(string(r[:1])) + string(r[1:]), string(r) == selected})
	}
	return out
}

// settings fills the page and answers with it.
func (c *Console) settings(g *gin.Context, status int, p *settingsPage) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	var users juncture.UsersView
	var keys juncture.KeysView
	var shares juncture.SharesView
	var set juncture.SettingsView
	for _, read := range []func() error{
		func() (err error) { users, err = c.deps.People.Users(ctx); return err },
		func() (err error) { keys, err = c.deps.Keys.Keys(ctx); return err },
		func() (err error) { shares, err = c.deps.Shares.Shares(ctx); return err },
		func() (err error) { set, err = c.deps.Settings.Settings(ctx); return err },
	} {
		if err == nil {
			err = read()
		}
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	me, _ := currentUser(g)
	may, admins := 0, 0
	for _, u := range users.Items {
		p.Users = append(p.Users, userLine{u, settingsPath + "/users/" + url.PathEscape(u.Name), u.Name == me.Name, roleOptions(u.Role)})
		if !u.Disabled {
			if may++; u.Role == string(access.RoleAdmin) {
				admins++
			}
		}
	}
	liveKeys, liveShares := 0, 0
	for _, k := range keys.Items {
		p.Keys = append(p.Keys, keyLine{k, strings.Join(k.Scopes, ", "), strings.Join(k.Origins, ", "), settingsPath + "/keys/" + url.PathEscape(k.ID) + "/revoke"})
		if k.RevokedAt == nil {
			liveKeys++
		}
	}
	slices.SortStableFunc(p.Keys, func(a, b keyLine) int { return ended(a.RevokedAt) - ended(b.RevokedAt) })
	for _, s := range shares.Items {
		live := s.RevokedAt == nil && c.deps.Now().Before(s.ExpiresAt)
		p.Shares = append(p.Shares, shareLine{s, live, settingsPath + "/shares/" + url.PathEscape(s.ID) + "/revoke"})
		if live {
			liveShares++
		}
	}
	slices.SortStableFunc(p.Shares, func(a, b shareLine) int { return map[bool]int{false: 1}[a.Live] - map[bool]int{false: 1}[b.Live] })
	p.Cut = slices.Concat(cut(&p.Users, "people"), cut(&p.Keys, "keys"), cut(&p.Shares, "links"))
	p.Lead = fmt.Sprintf("%s may sign in, %s change settings; %s and %s are live.", plural(may, "person", "people"), plural(admins, "of them may", "of them may"),
		plural(liveKeys, "API key", "API keys"), plural(liveShares, "shared link", "shared links"))
	p.Groups, p.Days, p.Roles = set.Groups, access.MaxShareDays, roleOptions(string(access.RoleViewer))
	if p.Scopes == nil {
		p.Scopes = scopeOptions(nil)
	}
	p.Done = map[string]string{"role": "The role is changed: it counts from the next page they open.", "disable": "They may not sign in any more, and are signed out.",
		"enable": "They may sign in again.", "sessions": "They are signed out everywhere.", "key": "The key is revoked: calls with it are refused within a second.",
		"share": "The link is revoked: it shows nothing any more."}[g.Query("done")]
	p.layout = c.layoutFor(g, "Settings", store)
	c.render(g, status, "settings", p)
}

// cut keeps the first lines of a table, and says so.
func cut[T any](lines *[]T, what string) []string {
	of := len(*lines)
	if of <= listLimit {
		return nil
	}
	*lines = (*lines)[:listLimit]
	return []string{fmt.Sprintf("The first %d of %s %s are listed; the API lists them all.", listLimit, experiments.Count(int64(of)), what)}
}

// ended orders what lives before what does not.
func ended(t *time.Time) int {
	if t == nil {
		return 0
	}
	return 1
}

func scopeOptions(ticked []string) []option {
	titles := map[access.Scope]string{access.ScopeChoose: "ask what to show", access.ScopeReward: "tell what came of it", access.ScopeEvents: "send events",
		access.ScopeRead: "read reports and profiles", access.ScopeEdit: "as an editor: write drafts, name tastes", access.ScopeApprove: "as an approver: decide what is shown", access.ScopeAdmin: "everything, also change it"}
	var out []option
	for _, s := range access.Scopes() {
		out = append(out, option{string(s), titles[s], slices.Contains(ticked, string(s))})
	}
	return out
}

func (c *Console) createUser(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	r := juncture.UserRequest{Name: strings.TrimSpace(form.Get("name")), Role: form.Get("role")}
	made, err := c.deps.People.CreateUser(g.Request.Context(), who(g), r)
	p := &settingsPage{Form: settingsForm{Name: clip(r.Name, 2*access.MaxName)}}
	if c.refused(g, p, "user-", "user-name", err) {
		return
	}
	p.Form.Name = ""
	p.Made = &madeView{"Password of " + made.Name, made.Password, "Give it to them in person or by a message that vanishes. It is not shown again; a new one can be made below."}
	c.settings(g, http.StatusOK, p)
}

// refused shows a refusal beside the field that it names, and reports whether there was one. prefix comes before the
// names of fields on the page; other is the field for what names none.
func (c *Console) refused(g *gin.Context, p *settingsPage, prefix, other string, err error) bool {
	if err == nil {
		return false
	}
	field, text, ok := refusal(err)
	if !ok {
		c.fail(g, err)
		return true
	}
	if field = prefix + field; field == prefix {
		field = other
	}
	p.Problems = map[string]string{field: text}
	c.settings(g, juncture.ErrorCode(err).Status(), p)
	return true
}

// refusal is what a person can put right: its field and words.
func refusal(err error) (field, text string, ok bool) {
	switch juncture.ErrorCode(err) {
	case juncture.CodeInvalidRequest, juncture.CodeUnprocessable, juncture.CodeNotFound:
	default:
		return "", "", false
	}
	e, ok := errors.AsType[*juncture.Error](err)
	if !ok {
		return "", "", false
	}
	text = strings.ToUpper(e.Message[:1]) + e.Message[1:]
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return e.Field, text + ".", true
}

func (c *Console) changeUser(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	ctx, name := g.Request.Context(), g.Param("name")
	var err error
	switch do := form.Get("do"); do {
	case "role":
		role := form.Get("role")
		err = c.deps.People.ChangeUser(ctx, who(g), name, juncture.UserChange{Role: &role})
	case "disable", "enable":
		disabled := do == "disable"
		err = c.deps.People.ChangeUser(ctx, who(g), name, juncture.UserChange{Disabled: &disabled})
	case "sessions":
		err = c.deps.People.EndSessions(ctx, who(g), name)
	case "password":
		var made juncture.PasswordView
		if made, err = c.deps.People.ResetPassword(ctx, who(g), name); err == nil {
			c.settings(g, http.StatusOK, &settingsPage{Made: &madeView{"New password of " + made.Name, made.Password, "The old one does not work any more, and they are signed out everywhere. It is not shown again."}})
			return
		}
	default:
		err = juncture.Errorf(juncture.CodeInvalidRequest, "nothing is called %.40q", do)
	}
	c.changed(g, form.Get("do"), "people", err)
}

// changed leads back to the page, or shows why nothing was changed.
func (c *Console) changed(g *gin.Context, done, part string, err error) {
	if err == nil {
		g.Redirect(http.StatusSeeOther, settingsPath+"?done="+url.QueryEscape(done)+"#"+part)
		return
	}
	_, text, ok := refusal(err)
	if !ok {
		c.fail(g, err)
		return
	}
	c.settings(g, juncture.ErrorCode(err).Status(), &settingsPage{Problem: text})
}

func (c *Console) createKey(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	r := juncture.KeyRequest{Name: strings.TrimSpace(form.Get("name")), Scopes: form["scopes"], Publishable: form.Get("publishable") != "", Origins: strings.Fields(strings.ReplaceAll(form.Get("origins"), ",", " "))}
	made, err := c.deps.Keys.CreateKey(g.Request.Context(), who(g), r)
	p := &settingsPage{Form: settingsForm{KeyName: clip(r.Name, 2*access.MaxName), KeyOrigins: clip(form.Get("origins"), 2000), KeyPublishable: r.Publishable}, Scopes: scopeOptions(r.Scopes)}
	if c.refused(g, p, "key-", "key-name", err) {
		return
	}
	p.Form, p.Scopes = settingsForm{}, nil
	p.Made = &madeView{"Secret of the key " + made.Key.Name, made.Secret, "Put it where the shop's code reads its secrets. It is not shown again: a lost one is revoked and replaced."}
	c.settings(g, http.StatusOK, p)
}

func (c *Console) revoke(what string, f func(context.Context, access.Who, string) error) gin.HandlerFunc {
	return func(g *gin.Context) { c.changed(g, what, what+"s", f(g.Request.Context(), who(g), g.Param("id"))) }
}

// settingsTables are the tables of the page that have a CSV.
func settingsTables() []string { return []string{"users", "keys", "shares"} }

func (c *Console) settingsCSV(table string) gin.HandlerFunc {
	when := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return func(g *gin.Context) {
		ctx := g.Request.Context()
		switch table {
		case "users":
			v, err := c.deps.People.Users(ctx)
			if err != nil {
				c.fail(g, err)
				return
			}
			t := newTable("name", "display", "role", "sign in", "created", "disabled", "sessions")
			for _, u := range v.Items {
				t.row(u.Name, u.Display, u.Role, u.SignIn, when(&u.CreatedAt), strconv.FormatBool(u.Disabled), whole(int64(u.Sessions)))
			}
			t.send(g, table)
		case "keys":
			v, err := c.deps.Keys.Keys(ctx)
			if err != nil {
				c.fail(g, err)
				return
			}
			t := newTable("id", "name", "scopes", "publishable", "origins", "created", "revoked")
			for _, k := range v.Items {
				t.row(k.ID, k.Name, strings.Join(k.Scopes, " "), strconv.FormatBool(k.Publishable), strings.Join(k.Origins, " "), when(&k.CreatedAt), when(k.RevokedAt))
			}
			t.send(g, table)
		default:
			v, err := c.deps.Shares.Shares(ctx)
			if err != nil {
				c.fail(g, err)
				return
			}
			t := newTable("id", "path", "made by", "created", "holds until", "revoked")
			for _, s := range v.Items {
				t.row(s.ID, s.Path, s.MadeBy, when(&s.CreatedAt), when(&s.ExpiresAt), when(s.RevokedAt))
			}
			t.send(g, table)
		}
	}
}
