package preview

import (
	"net/url"
	"regexp"
	"strings"
)

// Page is one to look at. Ids of Many stand in braces in its path, so that it is found in every state.
type Page struct {
	Name string // unique
	Path string
	As   string // who looks: root, ap, ed or ada; empty: root; shared: somebody who holds a link
}

const shared = "shared"

const cell = "key={v1/loyal.browsing.researching/wedding-guests/_/_}"

// Pages are all of them, in the order of the console's navigation.
func Pages() []Page {
	return []Page{
		{"overview", "/console", ""},
		{"overview of a viewer", "/console", "ada"},
		{"experiments", "/console/experiments", ""},
		{"experiment", "/console/experiments/{hero}?done=resume", ""},
		{"experiment, one slice over bau", "/console/experiments/{hero}?over=bau&filter.lifecycle=loyal&cuped=true", ""},
		{"experiment that tripped", "/console/experiments/{" + tripped + "}", ""},
		{"experiment without control", "/console/experiments/{alone}", ""},
		{"draft", "/console/experiments/{next-season}", ""},
		{"shipped", "/console/experiments/{last-season}", ""},
		{"holdout", "/console/experiments/{programme}", ""},
		{"pause", "/console/experiments/{hero}/pause", ""},
		{"ship", "/console/experiments/{hero}/ship", ""},
		{"start", "/console/experiments/{next-season}/start", "ap"},
		{"resume", "/console/experiments/{cart-rescue}/resume", "ap"},
		{"stop", "/console/experiments/{hero}/stop", "ap"},
		{"reset", "/console/experiments/{" + tripped + "}/reset", "ap"},
		{"roll back", "/console/experiments/{last-season}/rollback", ""},
		{"what if", "/console/experiments/{hero}/what-if", ""},
		{"what if, answered", "/console/experiments/{hero}/what-if?ask=policies&only={five_off}&only={points}", ""},
		{"what if, worth", "/console/experiments/{hero}/what-if?ask=worth", ""},
		{"grid", "/console/intersections", ""},
		{"grid in money", "/console/intersections?experiment={cart-rescue}&rows=status&cols=meaning&filter.lifecycle=returning", ""},
		{"grid, wide", "/console/intersections?experiment={hero}&rows=meaning&cols=moment", ""},
		{"grid, nothing fits", "/console/intersections?experiment={hero}&filter.live=rising", ""},
		{"next", "/console/intersections/next?experiment={hero}", ""},
		{"list", "/console/intersections/list?experiment={hero}&filter.lifecycle=loyal&filter.status=browsing", ""},
		{"intersection", "/console/intersection?experiment={hero}&" + cell, ""},
		{"intersection, everybody", "/console/intersection?experiment={hero}&key=v1%2F_%2F_%2F_%2F_", ""},
		{"decisions", "/console/decisions", ""},
		{"decisions, nothing fits", "/console/decisions?shopper=nobody&action=" + strings.Repeat("long-", 12), ""},
		{"decision", "/console/decision?id=900000", ""},
		{"decision by lot, replayed", "/console/decision?id=899999&replay=1", ""},
		{"decision of the holdout", "/console/decision?id=899997", ""},
		{"pool", "/console/pool", ""},
		{"pool of a viewer", "/console/pool", "ada"},
		{"pool, nothing fits", "/console/pool?q=nothing-like-it", ""},
		{"action", "/console/pool/{five_off}?edit={plain}", ""},
		{"action that is killed", "/console/pool/{wrong_price}?done=kill", ""},
		{"action that is paused", "/console/pool/{size_guide}", ""},
		{"action of a viewer", "/console/pool/{five_off}", "ada"},
		{"new action", "/console/pool-new?surface={home_hero}", ""},
		{"edit an action", "/console/pool/{five_off}/edit", "ed"},
		{"priorities", "/console/priorities?edit={new-drop}", ""},
		{"priorities of a viewer", "/console/priorities", "ada"},
		{"priority", "/console/priorities/{new-drop}?shopper={ada}", ""},
		{"priority of an action", "/console/priorities/{push-points}?done=submit", ""},
		{"priority that is paused", "/console/priorities/{all-paused}", ""},
		{"review", "/console/reviews?shopper={ada}", ""},
		{"review of an editor", "/console/reviews", "ed"},
		{"shoppers", "/console/shopper", ""},
		{"shopper", "/console/shopper?id={ada}", ""},
		{"shopper, movements", "/console/shopper?id={ada}&show=movements", "ada"},
		{"shopper who denied", "/console/shopper?id=denier", ""},
		{"shopper, nobody", "/console/shopper?id=" + strings.Repeat("long-id-", 20), ""},
		{"erase", "/console/shoppers/{ada}/erase", ""},
		{"erase, of a viewer", "/console/shoppers/{ada}/erase", "ada"},
		{"layers", "/console/layers?clusters=all&days=90", ""},
		{"layers of a viewer", "/console/layers?experiment={hero}", "ada"},
		{"cluster", "/console/layers/clusters/{wedding-guests}", ""},
		{"cluster of a viewer", "/console/layers/clusters/{wedding-guests}", "ada"},
		{"catalogue", "/console/catalogue", ""},
		{"catalogue, nothing fits", "/console/catalogue?q=nothing-like-it", ""},
		{"audit", "/console/audit", "ap"},
		{"audit, nothing fits", "/console/audit?actor=nobody", ""},
		{"settings", "/console/settings?done=role", ""},
		{"shared grid", "/console/intersections?experiment={hero}", shared},
		{"shared intersection", "/console/intersection?experiment={hero}&" + cell, shared},
		{"the API", "/docs/api", ""},
		{"sign in", "/console/sign-in", ""},
		{"no such page", "/console/nothing", ""},
	}
}

var braces = regexp.MustCompile(`\{[^}]*\}`)

// path is where a page is in a state.
func (s State) path(p Page) string {
	path, query, asked := strings.Cut(p.Path, "?")
	fill := func(in string, escape func(string) string) string {
		return braces.ReplaceAllStringFunc(in, func(id string) string { return escape(s.words.id(strings.Trim(id, "{}"))) })
	}
	path = fill(path, url.PathEscape)
	if asked {
		path += "?" + fill(query, url.QueryEscape)
	}
	if p.As == shared {
		return Link(path)
	}
	return path
}
