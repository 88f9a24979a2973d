package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/traffic"
)

// runs is what the store runs with, for people.
type runs struct {
	app  *app
	node *node
}

const inStoreFile = "in the store file, then juncture apply"

func (r runs) Settings(ctx context.Context) (juncture.SettingsView, error) {
	p, err := r.node.engine.Declared(ctx)
	if err != nil {
		return juncture.SettingsView{}, err
	}
	d, now := p.Declaration, layers.SettingsOf(p.Declaration.Layers, p.Declaration.Store.Currency)
	moment, meaning, catalogue := now.Moment.WithDefaults(), now.Meaning.WithDefaults(), now.Catalogue.WithDefaults()
	m, t, c := d.Layers["moment"], d.Layers["meaning"], d.Layers["catalogue"]
	value := func(v float64) string {
		if v == 0 {
			return "off"
		}
		return strconv.FormatFloat(v, 'f', -1, 64) + " " + d.Store.Currency
	}
	line := func(key, title, value string, own bool) juncture.SettingLine {
		return juncture.SettingLine{Key: key, Title: title, Value: value, Default: own}
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	shoppers := juncture.SettingGroup{Title: "How shoppers are described", Where: inStoreFile, Lines: []juncture.SettingLine{
		line("layers.moment.dormant", "Dormant after", span(moment.Dormant), m.Dormant == 0),
		line("layers.moment.abandonAfter", "A bag counts as left after", span(moment.AbandonAfter), m.AbandonAfter == 0),
		line("layers.moment.abandonFor", "and for", span(moment.AbandonFor), m.AbandonFor == 0),
		line("layers.moment.fresh", "Freshly converted for", span(moment.Fresh), m.Fresh == 0),
		line("layers.moment.atRiskOrders", "At risk from orders", strconv.Itoa(moment.AtRiskOrders), m.AtRiskOrders == 0),
		line("layers.moment.atRiskGaps", "and after usual gaps", number(moment.AtRiskGaps), m.AtRiskGaps == 0),
		line("layers.moment.loyalOrders", "Loyal from orders", strconv.Itoa(moment.LoyalOrders), m.LoyalOrders == 0),
		line("layers.moment.loyalValue", "or from a lifetime value over", value(m.LoyalValue), m.LoyalValue == 0),
		line("layers.moment.vipValue", "VIP from a lifetime value of", value(m.VIPValue), m.VIPValue == 0),
		line("layers.meaning.halfLife", "A taste halves in", span(meaning.HalfLife), t.HalfLife == 0),
		line("layers.meaning.clusters", "Taste clusters", or(t.Clusters, "as many as foretell best"), t.Clusters == 0),
		line("layers.meaning.refit", "Tastes are learnt again every", span(cmp.Or(time.Duration(t.Refit), 24*time.Hour)), t.Refit == 0),
		line("layers.meaning.minConfidence", "Least confidence of a taste", number(meaning.MinConfidence), t.MinConfidence == 0),
		line("layers.catalogue.halfLife", "Interest in a category halves in", span(catalogue.FocusHalfLife), c.HalfLife == 0),
		line("layers.catalogue.minConfidence", "Least confidence of a category", number(catalogue.MinConfidence), c.MinConfidence == 0),
	}}
	for _, name := range []string{"moment", "meaning", "trajectory", "catalogue"} {
		source := d.Layers[name].Source
		shoppers.Lines = append(shoppers.Lines, line("layers."+name+".source", "The layer "+name+" comes from", map[bool]string{true: "the shop's calls", false: "what shoppers do"}[source == juncture.SourceRequest], source == ""))
	}
	people := juncture.SettingGroup{Title: "Who counts as a person", Where: "built in: more than this is done by no hand"}
	for _, l := range traffic.Limits() {
		people.Lines = append(people.Lines, line("", "A shopper's "+l.Call.String()+" in "+span(l.Window), "up to "+strconv.Itoa(l.Most), true))
	}
	people.Lines = append(people.Lines, line("--rate", "Calls a second from one address with a publishable key", or(max(r.app.Rate, 0), "no limit"), r.app.Rate == defaults().Rate))
	guards := juncture.SettingGroup{Title: "What stops an experiment", Where: inStoreFile}
	for i, e := range d.Experiments {
		for j, g := range e.Guards {
			alpha := g.Alpha
			if alpha == 0 {
				alpha = juncture.DefaultAlpha
			}
			guards.Lines = append(guards.Lines, line(fmt.Sprintf("experiments[%d].guards[%d]", i, j), e.ID+": "+g.Outcome,
				fmt.Sprintf("more than %s%% %s %s, false alarms %s%%", number(100*g.Margin), g.Direction, g.Control(), number(100*alpha)), g.Alpha == 0))
		}
	}
	guards.Lines = append(guards.Lines, line("--guard-every", "Guards are looked at every", span(r.app.GuardEvery), r.app.GuardEvery == defaults().GuardEvery))
	head, err := r.node.db.AuditHead(ctx)
	if err != nil {
		return juncture.SettingsView{}, err
	}
	server := juncture.SettingGroup{Title: "This server", Where: "by flags, environment or --config; juncture serve --help lists them", Lines: []juncture.SettingLine{
		line("", "Version", version, true),
		line("--db", "Database", "SQLite, "+r.node.db.Path(), r.app.DB == defaults().DB),
		line("--node", "Node", strconv.Itoa(int(r.app.Node)), r.app.Node == defaults().Node),
		line("", "Version of the configuration", strconv.FormatInt(p.Number, 10), true),
		line("", "Last entry of the audit log", fmt.Sprintf("%d, %.6x…", head.Seq, head.Hash), true),
		line("--url", "Address", cmp.Or(r.app.URL, "as each request says"), r.app.URL == ""),
		line("--tls", "TLS ends at", map[bool]string{true: "a proxy in front", false: "nowhere: cookies are for loopback"}[r.app.TLS], !r.app.TLS),
		line("oidc.issuer", "Single sign-on", cmp.Or(r.app.OIDC.Issuer, "none: passwords alone"), r.app.OIDC.Issuer == ""),
	}}
	return juncture.SettingsView{Groups: []juncture.SettingGroup{shoppers, people, guards, server}}, nil
}

func or(v int, none string) string {
	if v == 0 {
		return none
	}
	return strconv.Itoa(v)
}

// span writes a duration with its largest whole unit.
func span(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := d / u.of; n > 0 && d%u.of == 0 {
			return strings.TrimSuffix(fmt.Sprintf("%d %ss", n, u.name), map[bool]string{true: "s"}[n == 1])
		}
	}
	return d.String()
}
