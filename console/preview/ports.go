package preview

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/report"
)

// Deps are the console's ports over the data.
func (d *Data) Deps() console.Deps {
	s, t, k, l := &shop{d}, &trials{d}, &desk{d}, &decisions{d}
	return console.Deps{API: d.API, Source: s, Sessions: s, Shoppers: s, Records: s, Tastes: s, Trials: t, Health: t, WhatIf: t, Catalogue: t, Decisions: l, Live: console.NewLive(console.NewestOf(l), 0),
		Pool: &pool{d}, People: k, Keys: k, Shares: k, Settings: k, Audit: k, SSO: sso{d}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return Now }}
}

func first[T any](list []T, most int) []T { return list[:min(most, len(list))] }

// shop is the store, its shoppers, their tastes and who is signed in.
type shop struct{ d *Data }

func (s *shop) Store(context.Context) (console.StoreView, error) { return s.d.Store, s.d.Err }

func (s *shop) Evidence(_ context.Context, id string) (experiments.Evidence, error) {
	ev, ok := s.d.Evidence[id]
	if !ok {
		return ev, juncture.Errorf(juncture.CodeNotFound, "no experiment %q", id)
	}
	return ev, s.d.Err
}

func (s *shop) Decisions(_ context.Context, _ string, _ juncture.Intersection, limit int) ([]console.DecisionView, error) {
	return first(s.d.Decisions, limit), s.d.Err
}

// known reports whether anything was observed of a shopper; while the ports fail, of everybody.
func (s *shop) known(id string) bool {
	_, ok := s.d.Shoppers[id]
	return ok || s.d.Err != nil
}

func (s *shop) Shopper(_ context.Context, id string) (console.ShopperView, error) {
	if !s.known(id) {
		return console.ShopperView{}, juncture.Errorf(juncture.CodeNotFound, "nobody")
	}
	return s.d.Shoppers[id], s.d.Err
}

func (s *shop) Events(_ context.Context, _ string, limit int) ([]juncture.Event, error) {
	return first(s.d.Events, limit), s.d.Err
}

func (s *shop) Touches(_ context.Context, id string, limit int) ([]console.TouchView, error) {
	if _, ok := s.d.Shoppers[id]; !ok && id != "undescribed" {
		return nil, s.d.Err
	}
	var out []console.TouchView
	for i, v := range first(s.d.Decisions, limit) {
		t := console.TouchView{DecisionView: v, Experiment: s.d.At.Experiment, Key: s.d.At.Key}
		if i%7 == 3 {
			t.Experiment = s.d.At.Gone
		}
		out = append(out, t)
	}
	return out, s.d.Err
}

func (s *shop) Quarantine(context.Context) ([]juncture.Quarantined, error) {
	return s.d.Broken, s.d.Err
}

func (s *shop) Movements(_ context.Context, _ string, limit int) ([]juncture.Movement, error) {
	return first(s.d.Moves, limit), s.d.Err
}

func (s *shop) Consent(_ context.Context, id string) (juncture.ConsentRecord, error) {
	return s.d.Consent[id], s.d.Err
}

func (s *shop) Erase(_ context.Context, actor, id string) (juncture.ErasureView, error) {
	if !s.known(id) {
		return juncture.ErasureView{}, juncture.Errorf(juncture.CodeNotFound, "nobody")
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	remember(&s.d.Erased, actor+" "+id)
	return juncture.ErasureView{Erased: true, IDs: 2, Events: 1204, Decisions: 30}, s.d.Err
}

func (s *shop) Export(_ context.Context, id string) (any, error) {
	if !s.known(id) {
		return nil, juncture.Errorf(juncture.CodeNotFound, "nobody")
	}
	return map[string]any{"shopper": id, "events": []string{"<b>"}}, s.d.Err
}

func (s *shop) Clusters(context.Context) (juncture.ClustersView, error) { return s.d.Clusters, s.d.Err }

func (s *shop) ChangeCluster(_ context.Context, actor, id string, c juncture.ClusterChange) error {
	did := actor + " " + id + " "
	if c.Name != nil {
		did += *c.Name + "."
	}
	if c.Voice != nil {
		did += fmt.Sprintf(" %+v", *c.Voice)
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	remember(&s.d.Changed, did)
	return s.d.ChangeErr
}

func (s *shop) Refit(_ context.Context, actor string) (juncture.RefitView, error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	remember(&s.d.Changed, actor+" refit")
	return s.d.Refit, s.d.RefitErr
}

func (s *shop) LayerCounts(context.Context) ([]juncture.ValueCount, error) {
	return s.d.Counts, s.d.Err
}

func (s *shop) Moves(_ context.Context, since time.Time) ([]juncture.MoveCount, error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.Since = since
	return s.d.Passed, s.d.Err
}

func (s *shop) SignIn(_ context.Context, name, password string, _ time.Time) (string, access.User, error) {
	if s.d.SignInErr != nil {
		return "", access.User{}, s.d.SignInErr
	}
	token := map[string]string{"ada": "token-1", "ed": "editor", "ap": "approver", "root": "admin"}[name]
	if token == "" || password != Password {
		return "", access.User{}, juncture.Errorf(juncture.CodeUnauthorized, "no")
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.Live[token] = true
	return token, s.d.People[token], nil
}

func (s *shop) Session(_ context.Context, token string, _ time.Time) (access.User, error) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if !s.d.Live[token] {
		return access.User{}, juncture.Errorf(juncture.CodeUnauthorized, "no")
	}
	return s.d.People[token], nil
}

func (s *shop) SignOut(_ context.Context, token string) error {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	delete(s.d.Live, token)
	remember(&s.d.SignedOut, token)
	return nil
}

type sso struct{ d *Data }

func (s sso) Title() string { return s.d.SSO.Name }

func (s sso) Begin(_ context.Context, back string, _ time.Time) (string, string, error) {
	return "https://id.example/authorize?redirect_uri=" + url.QueryEscape(back), "kept.1", s.d.SSO.Err
}

func (s sso) Finish(_ context.Context, back, kept, state, code string, _ time.Time) (string, access.User, error) {
	if s.d.SSO.Err != nil {
		return "", access.User{}, s.d.SSO.Err
	}
	if u, err := url.Parse(back); err != nil || kept != "kept.1" || state != "state" || code != "code" || u.Path != "/console/sign-in/oidc/back" {
		return "", access.User{}, juncture.Errorf(juncture.CodeUnauthorized, "no")
	}
	return "good", s.d.People["good"], nil
}

// trials is experiments, what other policies would have earned, and the catalogue.
type trials struct{ d *Data }

func (t *trials) declared() *juncture.Declaration {
	x := t.d.Trials
	return &juncture.Declaration{Experiments: t.d.Store.Experiments, Tripped: x.Tripped, Shipped: x.Shipped, Holdouts: x.Holdouts}
}

func (t *trials) Experiments(context.Context) (out []juncture.ExperimentView, _ []juncture.Holdout, err error) {
	d := t.declared()
	for _, x := range d.Experiments {
		v, err := d.View(x.ID)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, v)
	}
	return out, t.d.Trials.Holdouts, t.d.Err
}

func (t *trials) Report(_ context.Context, id string, q report.Query) (report.Report, error) {
	src, ok := t.d.Trials.Sources[id]
	if !ok {
		return report.Report{}, juncture.Errorf(juncture.CodeNotFound, "no experiment or holdout is called %.80q", id)
	}
	if t.d.Err != nil {
		return report.Report{}, t.d.Err
	}
	t.d.mu.Lock()
	remember(&t.d.Trials.Asked, q)
	t.d.mu.Unlock()
	return report.Build(src, q)
}

func (t *trials) ChangeExperiment(_ context.Context, actor, id string, verb juncture.Verb, r juncture.ExperimentChange) (juncture.ExperimentView, error) {
	if err := t.d.Trials.ChangeErr; err != nil {
		return juncture.ExperimentView{}, err
	}
	if err := r.Check(verb); err != nil {
		return juncture.ExperimentView{}, err
	}
	t.d.mu.Lock()
	remember(&t.d.Trials.Did, fmt.Sprintf("%s %s %s %+v", actor, verb, id, r))
	t.d.mu.Unlock()
	return t.declared().View(id)
}

func (t *trials) History(_ context.Context, _ string, limit int) ([]audit.Entry, error) {
	return first(t.d.Trials.History, limit), t.d.Err
}

func (t *trials) Health(_ context.Context, id string) (console.HealthView, error) {
	h, ok := t.d.Trials.Health[id]
	if !ok {
		h.State = console.HealthUnknown
	}
	return h, t.d.Err
}

func (t *trials) Evaluate(_ context.Context, q console.WhatIfQuery) (evaluate.Report, error) {
	t.question(q)
	return t.d.Trials.WhatIf, errors.Join(t.d.Trials.WhatErr, t.d.Err)
}

func (t *trials) Worth(_ context.Context, q console.WhatIfQuery) (evaluate.Worth, error) {
	t.question(q)
	return t.d.Trials.Worth, errors.Join(t.d.Trials.WhatErr, t.d.Err)
}

func (t *trials) question(q console.WhatIfQuery) {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	remember(&t.d.Trials.Questions, q)
}

func (t *trials) Catalogue(context.Context) (juncture.CatalogueView, error) {
	return t.d.Trials.Catalogue, t.d.Err
}

func (t *trials) Products(_ context.Context, q juncture.ProductQuery) (juncture.ProductsView, error) {
	v := juncture.ProductsView{}
	for _, x := range t.d.Trials.Products {
		if q.Match(&juncture.Product{ID: x.ID, Title: x.Title, Category: x.Category, Brand: x.Brand, Stock: x.Stock, Hidden: x.Hidden}) {
			v.Items = append(v.Items, x)
		}
	}
	v.Total = len(v.Items)
	from := min(q.Offset, v.Total)
	v.Items = v.Items[from:min(from+q.Limit, v.Total)]
	return v, t.d.Err
}

type pool struct{ d *Data }

func (p *pool) Actions(context.Context) ([]juncture.PoolAction, error) {
	return p.d.Pool.Actions, p.d.Err
}
func (p *pool) Reviews(context.Context) ([]juncture.ReviewItem, error) {
	return p.d.Pool.Reviews, p.d.Err
}
func (p *pool) Switches(context.Context) ([]juncture.SwitchView, error) {
	return p.d.Pool.Switches, p.d.Err
}

func (p *pool) ShownTo(_ context.Context, shopper string, a juncture.Action) ([]juncture.ProductView, []juncture.EditorialView, error) {
	goods := append([]juncture.ProductView{}, first(p.d.Pool.Shown, a.Slots)...)
	if shopper != "" && len(goods) > 0 {
		goods[0].Title = "Chosen for " + shopper
	}
	return goods, nil, p.d.Err
}

func (p *pool) say(format string, args ...any) error {
	p.d.mu.Lock()
	defer p.d.mu.Unlock()
	remember(&p.d.Pool.Did, fmt.Sprintf(format, args...))
	return p.d.Pool.Err
}

func (p *pool) Review(_ context.Context, actor string, verb juncture.Verb, r juncture.ReviewRequest) error {
	return p.say("%s %s %d %q", actor, verb, len(r.Items), r.Reason)
}

func (p *pool) HoldAction(_ context.Context, actor, action, copy string, verb juncture.Verb, r juncture.ReasonRequest) ([]string, error) {
	return nil, p.say("%s %s %s/%s %q", actor, verb, action, copy, r.Reason)
}

func (p *pool) Switch(_ context.Context, actor, kind, id string, verb juncture.Verb, r juncture.ReasonRequest) ([]string, error) {
	return nil, p.say("%s %s %s %s %q", actor, verb, kind, id, r.Reason)
}

func (p *pool) SetTerms(_ context.Context, actor, action string, r juncture.TermsRequest) error {
	b, err := json.Marshal(r)
	return errors.Join(err, p.say("%s terms %s %s", actor, action, b))
}

func (p *pool) WriteCopy(_ context.Context, actor, action string, r juncture.CopyDraft) error {
	return p.say("%s copy %s/%s %q %v", actor, action, r.ID, r.Headline, r.Submit)
}

func (p *pool) Priorities(context.Context) ([]juncture.PoolPriority, error) {
	return p.d.Pool.Priorities, p.d.Err
}

func (p *pool) PriorityEffects(context.Context) (map[string][]juncture.PriorityEffect, error) {
	return p.d.Pool.Effects, p.d.Err
}

func (p *pool) PreviewPriority(_ context.Context, shopper string, r juncture.Priority) (juncture.PriorityPreview, error) {
	v := p.d.Pool.Preview
	if r.Action != "" {
		v.Slots = nil
		return v, p.d.Err
	}
	v.Effects, v.Slots = nil, slices.Clone(v.Slots)
	for i := range v.Slots {
		s := &v.Slots[i]
		s.Then = slices.Clone(s.Then)
		for j := range s.Then {
			if s.Then[j].Priority != "" {
				s.Then[j].Title, s.Then[j].Priority = "Raised for "+shopper, r.ID
			}
		}
	}
	return v, p.d.Err
}

func (p *pool) WritePriority(_ context.Context, actor string, r juncture.PriorityDraft) error {
	b, err := json.Marshal(r)
	return errors.Join(err, p.say("%s priority %s", actor, b))
}

func (p *pool) HoldPriority(_ context.Context, actor, id string, verb juncture.Verb, r juncture.ReasonRequest) error {
	return p.say("%s %s priority %s %q", actor, verb, id, r.Reason)
}

func (p *pool) WriteAction(_ context.Context, actor string, r juncture.ActionDraft) error {
	b, err := json.Marshal(r)
	return errors.Join(err, p.say("%s action %s", actor, b))
}

type decisions struct{ d *Data }

func (l *decisions) Find(_ context.Context, id string) (uint64, error) {
	if serial, ok := juncture.ParseSerial(id); ok {
		return serial, l.d.Err
	}
	for _, d := range l.items() {
		if d.DecisionID == id {
			serial, _ := juncture.ParseSerial(d.Serial)
			return serial, l.d.Err
		}
	}
	return 0, juncture.Errorf(juncture.CodeDecisionNotFound, "no such decision")
}

func (l *decisions) items() []juncture.LoggedDecision {
	l.d.Log.mu.Lock()
	defer l.d.Log.mu.Unlock()
	return l.d.Log.Items
}

func (l *decisions) Decisions(_ context.Context, q juncture.DecisionQuery) (juncture.DecisionPage, error) {
	l.d.Log.mu.Lock()
	defer l.d.Log.mu.Unlock()
	if q.Limit > 1 { // not what looks for the newest
		l.d.Log.Asked = q
	}
	page := juncture.DecisionPage{Items: []juncture.LoggedDecision{}}
	for _, d := range l.d.Log.Items {
		serial, _ := juncture.ParseSerial(d.Serial)
		if q.Before != 0 && serial >= q.Before || q.Shopper != "" && d.ShopperID != q.Shopper || q.Group != nil && d.Group != *q.Group || !q.To.IsZero() && !d.At.Before(q.To) {
			continue
		}
		if len(page.Items) == q.Limit {
			page.Next = page.Items[len(page.Items)-1].Serial
			break
		}
		page.Items = append(page.Items, d)
	}
	return page, l.d.Err
}

func (l *decisions) Explain(_ context.Context, serial uint64) (*juncture.ExplainedDecision, error) {
	for _, d := range l.items() {
		if d.Serial != juncture.SerialText(serial) {
			continue
		}
		x := l.d.Log.Why
		x.LoggedDecision, x.Until = d, d.At.Add(24*time.Hour)
		x.Outcomes = append([]juncture.ExplainedReward{}, x.Outcomes...)
		for i := range x.Outcomes {
			x.Outcomes[i].At = d.At.Add(time.Hour)
		}
		if d.PolicyVersion == "" { // the policy was not asked
			x.Uniform, x.Candidates, x.Filtered, x.Nudges = nil, nil, nil, nil
		}
		x.Candidates = append([]juncture.Candidate{}, x.Candidates...)
		for i := range x.Candidates {
			if d.Group != juncture.GroupRandom {
				x.Candidates[i].Policy = nil
			}
		}
		return &x, l.d.Err
	}
	return nil, juncture.Errorf(juncture.CodeDecisionNotFound, "no such decision")
}

func (l *decisions) Replay(ctx context.Context, serial uint64) (*juncture.ReplayView, error) {
	x, err := l.Explain(ctx, serial)
	if err != nil {
		return nil, err
	}
	v := l.d.Log.Replay
	v.Uniform, v.Arms = x.Uniform, nil
	for _, c := range x.Candidates {
		p := c.Probability
		if l.d.Log.Differ {
			p += 1e-16 * 3
		}
		of := l.d.Log.Replay.Arms[0]
		of.Arm, of.Logged, of.Recomputed = c.Arm, c.Probability, &p
		v.Arms = append(v.Arms, of)
	}
	return &v, nil
}

// desk is people, keys, links, settings and the audit log.
type desk struct{ d *Data }

func (k *desk) did(format string, a ...any) error {
	k.d.mu.Lock()
	defer k.d.mu.Unlock()
	remember(&k.d.Desk.Done, fmt.Sprintf(format, a...))
	return k.d.Desk.Err
}

func (k *desk) Users(context.Context) (juncture.UsersView, error) { return k.d.Desk.Users, k.d.Err }

func (k *desk) CreateUser(_ context.Context, who access.Who, r juncture.UserRequest) (juncture.PasswordView, error) {
	return juncture.PasswordView{Name: r.Name, Password: "aaaaa-bbbbb-ccccc-ddddd"}, k.did("%s create %s %s", who.Actor, r.Name, r.Role)
}

func (k *desk) ChangeUser(_ context.Context, who access.Who, name string, c juncture.UserChange) error {
	b, err := json.Marshal(c)
	return errors.Join(err, k.did("%s change %s %s", who.Actor, name, b))
}

func (k *desk) ResetPassword(_ context.Context, who access.Who, name string) (juncture.PasswordView, error) {
	return juncture.PasswordView{Name: name, Password: "aaaaa-bbbbb-ccccc-ddddd"}, k.did("%s reset %s", who.Actor, name)
}

func (k *desk) EndSessions(_ context.Context, who access.Who, name string) error {
	return k.did("%s sessions %s", who.Actor, name)
}

func (k *desk) Keys(context.Context) (juncture.KeysView, error) { return k.d.Desk.Keys, k.d.Err }

func (k *desk) CreateKey(_ context.Context, who access.Who, r juncture.KeyRequest) (juncture.KeyMade, error) {
	b, err := json.Marshal(r)
	return juncture.KeyMade{Key: juncture.KeyView{Name: r.Name}, Secret: "jk_secretofakey"}, errors.Join(err, k.did("%s key %s", who.Actor, b))
}

func (k *desk) RevokeKey(_ context.Context, who access.Who, id string) error {
	return k.did("%s revoke key %s", who.Actor, id)
}

func (k *desk) Shares(context.Context) (juncture.SharesView, error) { return k.d.Desk.Shares, k.d.Err }

func (k *desk) CreateShare(_ context.Context, who access.Who, r juncture.ShareRequest) (juncture.ShareMade, error) {
	if !access.Shareable(r.Path) {
		return juncture.ShareMade{}, juncture.Errorf(juncture.CodeInvalidRequest, "no")
	}
	return juncture.ShareMade{Share: juncture.ShareView{Path: r.Path, ExpiresAt: Now.Add(time.Duration(r.Days) * 24 * time.Hour)}, Link: access.SharePath + "tokenofalink"},
		k.did("%s share %s %d", who.Actor, r.Path, r.Days)
}

func (k *desk) RevokeShare(_ context.Context, who access.Who, id string) error {
	return k.did("%s revoke share %s", who.Actor, id)
}

// Link is the address of a page through a link to it: its token is the path of the page in hex, so that anything can be
// looked at that way.
func Link(path string) string { return access.SharePath + fmt.Sprintf("%x", path) }

func (k *desk) Shared(_ context.Context, token string) (juncture.ShareView, error) {
	var path string
	if n, err := fmt.Sscanf(token, "%x", &path); n != 1 || err != nil {
		return juncture.ShareView{}, juncture.Errorf(juncture.CodeNotFound, "This link does not hold.")
	}
	return juncture.ShareView{Path: path, ExpiresAt: Now.Add(24 * time.Hour)}, nil
}

func (k *desk) Settings(context.Context) (juncture.SettingsView, error) { return k.d.Desk.Set, k.d.Err }

func (k *desk) AuditFound(_ context.Context, q audit.Query) iter.Seq2[audit.Entry, error] {
	k.d.mu.Lock()
	k.d.Desk.Asked = q
	k.d.mu.Unlock()
	return func(yield func(audit.Entry, error) bool) {
		if k.d.Err != nil {
			yield(audit.Entry{}, k.d.Err)
			return
		}
		n := 0
		for i := len(k.d.Desk.Log) - 1; i >= 0; i-- {
			e := k.d.Desk.Log[i]
			if q.Before > 0 && e.Seq >= q.Before || q.Actor != "" && e.Actor != q.Actor {
				continue
			}
			if n++; q.Limit > 0 && n > q.Limit || !yield(e, nil) {
				return
			}
		}
	}
}

func (k *desk) AuditNames(context.Context, int) (actors, actions []string, err error) {
	return k.d.Desk.Actors, k.d.Desk.Actions, k.d.Err
}

func (k *desk) Prove(_ context.Context, older time.Duration) (juncture.AuditProof, error) {
	if older == 0 {
		k.d.mu.Lock()
		k.d.Desk.Proved++
		k.d.mu.Unlock()
	}
	return k.d.Desk.Proof, k.d.Err
}
