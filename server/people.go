package server

import (
	"context"
	"iter"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/intake"
)

// People manages who may sign in to the console. Changes are audited behind it.
type People interface {
	Users(ctx context.Context) (juncture.UsersView, error)
	CreateUser(ctx context.Context, who access.Who, r juncture.UserRequest) (juncture.PasswordView, error)
	ChangeUser(ctx context.Context, who access.Who, name string, c juncture.UserChange) error
	ResetPassword(ctx context.Context, who access.Who, name string) (juncture.PasswordView, error)
	EndSessions(ctx context.Context, who access.Who, name string) error
}

// KeyDesk manages API keys. Changes are audited behind it.
type KeyDesk interface {
	Keys(ctx context.Context) (juncture.KeysView, error)
	CreateKey(ctx context.Context, who access.Who, r juncture.KeyRequest) (juncture.KeyMade, error)
	RevokeKey(ctx context.Context, who access.Who, id string) error
}

// Shares manages read-only links to pages of the console. Changes are audited behind it.
type Shares interface {
	Shares(ctx context.Context) (juncture.SharesView, error)
	CreateShare(ctx context.Context, who access.Who, r juncture.ShareRequest) (juncture.ShareMade, error)
	RevokeShare(ctx context.Context, who access.Who, id string) error
}

// AuditLog is read, and proves itself.
type AuditLog interface {
	AuditFound(ctx context.Context, q audit.Query) iter.Seq2[audit.Entry, error]
	Prove(ctx context.Context, older time.Duration) (juncture.AuditProof, error)
}

// Settings is what the store runs with.
type Settings interface {
	Settings(ctx context.Context) (juncture.SettingsView, error)
}

// Desk is the ports of those who administer the store.
type Desk struct {
	People   People
	Keys     KeyDesk
	Shares   Shares
	Audit    AuditLog
	Settings Settings
}

// desk answers for the Desk.
type desk struct {
	*Server
	Desk
	user   *intake.Decoder[juncture.UserRequest]
	change *intake.Decoder[juncture.UserChange]
	key    *intake.Decoder[juncture.KeyRequest]
	share  *intake.Decoder[juncture.ShareRequest]
}

// administers adds the routes of people, keys, links, the audit log and settings. All need the scope admin.
func (s *Server) administers(admin gin.IRoutes) {
	d := &desk{Server: s, Desk: s.o.Desk, user: intake.NewDecoder[juncture.UserRequest](intake.Options{}), change: intake.NewDecoder[juncture.UserChange](intake.Options{}),
		key: intake.NewDecoder[juncture.KeyRequest](intake.Options{}), share: intake.NewDecoder[juncture.ShareRequest](intake.Options{})}
	admin.GET("/users", d.getUsers)
	admin.POST("/users", d.postUser)
	admin.PATCH("/users/:name", d.patchUser)
	admin.POST("/users/:name/password", d.postPassword)
	admin.DELETE("/users/:name/sessions", d.deleteSessions)
	admin.GET("/keys", d.getKeys)
	admin.POST("/keys", d.postKey)
	admin.DELETE("/keys/:id", d.deleteKey)
	admin.GET("/shares", d.getShares)
	admin.POST("/shares", d.postShare)
	admin.DELETE("/shares/:id", d.deleteShare)
	admin.GET("/audit", d.getAudit)
	admin.GET("/audit/verify", d.getProof)
	admin.GET("/settings", d.getSettings)
}

// by names the caller for the audit log.
func by(c *gin.Context) access.Who { return access.Who(who(c)) }

// answer answers with v, or the problem.
func (s *Server) answer(c *gin.Context, v any, err error) {
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, v)
}

func (d *desk) getUsers(c *gin.Context) {
	v, err := d.People.Users(c.Request.Context())
	d.answer(c, v, err)
}

func (d *desk) postUser(c *gin.Context) {
	if r, _, _, ok := asked(d.Server, c, d.user); ok {
		v, err := d.People.CreateUser(c.Request.Context(), by(c), *r)
		d.answer(c, v, err)
	}
}

func (d *desk) patchUser(c *gin.Context) {
	r, _, _, ok := asked(d.Server, c, d.change)
	if !ok {
		return
	}
	if err := d.People.ChangeUser(c.Request.Context(), by(c), c.Param("name"), *r); err != nil {
		d.fail(c, err)
		return
	}
	d.getUsers(c)
}

func (d *desk) postPassword(c *gin.Context) {
	v, err := d.People.ResetPassword(c.Request.Context(), by(c), c.Param("name"))
	d.answer(c, v, err)
}

func (d *desk) deleteSessions(c *gin.Context) {
	if err := d.People.EndSessions(c.Request.Context(), by(c), c.Param("name")); err != nil {
		d.fail(c, err)
		return
	}
	d.getUsers(c)
}

func (d *desk) getKeys(c *gin.Context) {
	v, err := d.Keys.Keys(c.Request.Context())
	d.answer(c, v, err)
}

func (d *desk) postKey(c *gin.Context) {
	if r, _, _, ok := asked(d.Server, c, d.key); ok {
		v, err := d.Keys.CreateKey(c.Request.Context(), by(c), *r)
		d.answer(c, v, err)
	}
}

func (d *desk) deleteKey(c *gin.Context) {
	if err := d.Keys.RevokeKey(c.Request.Context(), by(c), c.Param("id")); err != nil {
		d.fail(c, err)
		return
	}
	d.getKeys(c)
}

func (d *desk) getShares(c *gin.Context) {
	v, err := d.Shares.Shares(c.Request.Context())
	d.answer(c, v, err)
}

func (d *desk) postShare(c *gin.Context) {
	if r, _, _, ok := asked(d.Server, c, d.share); ok {
		v, err := d.Shares.CreateShare(c.Request.Context(), by(c), *r)
		d.answer(c, v, err)
	}
}

func (d *desk) deleteShare(c *gin.Context) {
	if err := d.Shares.RevokeShare(c.Request.Context(), by(c), c.Param("id")); err != nil {
		d.fail(c, err)
		return
	}
	d.getShares(c)
}

// Entries of an answer.
const (
	auditLimit   = 100
	auditLargest = 1000
)

func (d *desk) getAudit(c *gin.Context) {
	q := audit.Query{Actor: c.Query("actor"), Action: c.Query("action"), Subject: c.Query("subject"), Limit: auditLimit}
	var err error
	for name, to := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		if err == nil {
			*to, err = moment(name, c.Query(name))
		}
	}
	number := func(name string, most int64, to func(int64)) {
		s := c.Query(name)
		if err != nil || s == "" {
			return
		}
		n, perr := strconv.ParseInt(s, 10, 64)
		if perr != nil || n < 1 || n > most {
			err = juncture.Errorf(juncture.CodeInvalidRequest, "%s %.20q is not 1 to %d", name, s, most).WithField(name)
			return
		}
		to(n)
	}
	number("limit", auditLargest, func(n int64) { q.Limit = int(n) })
	number("before", 1<<53, func(n int64) { q.Before = n })
	page := juncture.AuditPage{Items: []juncture.AuditView{}}
	if err == nil {
		q.Limit++ // one more says whether there is another page
		for e, readErr := range d.Audit.AuditFound(c.Request.Context(), q) {
			if err = readErr; err != nil {
				break
			}
			page.Items = append(page.Items, e.View())
		}
		if len(page.Items) == q.Limit {
			page.Items = page.Items[:q.Limit-1]
			page.Next = page.Items[q.Limit-2].Seq
		}
	}
	d.answer(c, page, err)
}

func (d *desk) getProof(c *gin.Context) {
	p, err := d.Audit.Prove(c.Request.Context(), 0)
	d.answer(c, p, err)
}

func (d *desk) getSettings(c *gin.Context) {
	v, err := d.Desk.Settings.Settings(c.Request.Context())
	d.answer(c, v, err)
}
