package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/health"
	"github.com/juncture/juncture/experiments/offpolicy"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/experiments/watch"
	"github.com/juncture/juncture/internal/testkit"
)

// described loads the description that the server serves.
func described(t *testing.T, s *site) *openapi3.T {
	t.Helper()
	loader := openapi3.NewLoader()
	loader.Context = t.Context()
	doc, err := loader.LoadFromData(s.call("GET", "/openapi.json", "", nil).body)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDescriptionIsValid(t *testing.T) {
	t.Parallel()
	doc := described(t, open(t, testkit.Declaration()))
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
	ids := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if other, twice := ids[op.OperationID]; twice || op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s: operation %q, also of %q; summary %q, tags %q", method, path, op.OperationID, other, op.Summary, op.Tags)
			}
			ids[op.OperationID] = path
			if op.Responses.Value("200") == nil {
				t.Errorf("%s %s has no 200", method, path)
			}
		}
	}
	used := map[string]bool{}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`#/components/schemas/(\w+)`).FindAllSubmatch(raw, -1) {
		used[string(m[1])] = true
	}
	for name, schema := range doc.Components.Schemas {
		if !used[name] {
			t.Errorf("no path leads to the schema %s", name)
		}
		if schema.Value.Description == "" {
			t.Errorf("the schema %s is not described", name)
		}
		for field, p := range schema.Value.Properties {
			if p.Ref == "" && p.Value.Description == "" {
				t.Errorf("%s.%s is not described", name, field)
			}
		}
	}
}

// The routes and the description say the same, both ways.
func TestDescriptionAndRoutesAgree(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	var routes, paths []string
	param := regexp.MustCompile(`:(\w+)`)
	for _, r := range s.server.Gin().Routes() {
		if r.Method != http.MethodOptions { // a browser's preflight is no operation
			routes = append(routes, r.Method+" "+param.ReplaceAllString(r.Path, "{$1}"))
		}
	}
	for path, item := range described(t, s).Paths.Map() {
		for method := range item.Operations() {
			paths = append(paths, method+" "+path)
		}
	}
	slices.Sort(routes)
	slices.Sort(paths)
	if diff := cmp.Diff(routes, paths); diff != "" {
		t.Errorf("routes (-) and paths (+):\n%s", diff)
	}
}

// Every schema has the fields of its Go type; those of an answer that are always there are required.
func TestDescriptionAndTypesAgree(t *testing.T) {
	t.Parallel()
	doc := described(t, open(t, testkit.Declaration()))
	for name, x := range map[string]struct {
		v      any
		answer bool
	}{
		"ChooseRequest": {juncture.ChooseRequest{}, false}, "LayerValues": {juncture.LayerValues{}, false}, "Consent": {juncture.Consent{}, false}, "Preview": {juncture.Preview{}, false},
		"ChooseAnswer": {juncture.ChooseAnswer{}, true}, "ActionView": {juncture.ActionView{}, true}, "CopyView": {juncture.CopyView{}, true}, "RankedView": {juncture.RankedView{}, true},
		"IntersectionView": {juncture.IntersectionView{}, true}, "LayerView": {juncture.LayerView{}, true}, "ExplanationView": {juncture.ExplanationView{}, true}, "FilteredView": {juncture.FilteredView{}, true},
		"ActivateRequest": {juncture.ActivateRequest{}, false}, "Served": {juncture.Served{}, false}, "ActivateAnswer": {juncture.ActivateAnswer{}, true},
		"RewardRequest": {juncture.RewardRequest{}, false}, "RewardAnswer": {juncture.RewardAnswer{}, true}, "CreditView": {juncture.CreditView{}, true}, "ProblemView": {juncture.ProblemView{}, true}, "FieldProblem": {juncture.FieldProblem{}, true},
		"LayerSetting": {juncture.LayerSetting{}, true}, "Outcome": {juncture.OutcomeType{}, true}, "Experiment": {juncture.ExperimentView{}, true}, "Guard": {juncture.Guard{}, true}, "Trip": {juncture.Trip{}, true}, "Shipment": {juncture.Shipment{}, true}, "ExperimentChange": {juncture.ExperimentChange{}, true}, "Goal": {juncture.Goal{}, true}, "GroupShares": {juncture.GroupShares{}, true},
		"Grid": {experiments.Grid{}, true}, "GridAxis": {experiments.GridAxis{}, true}, "GridClaims": {experiments.GridClaims{}, true}, "Next": {experiments.Next{}, true}, "ApartCell": {experiments.ApartCell{}, true}, "ThinCell": {experiments.ThinCell{}, true}, "CopyCell": {experiments.CopyCell{}, true}, "AxisValue": {experiments.AxisValue{}, true}, "GridCell": {experiments.GridCell{}, true},
		"ActionInfo": {experiments.ActionInfo{}, true}, "ActionEstimate": {experiments.ActionEstimate{}, true}, "Winners": {experiments.Segments{}, true}, "SegmentWinner": {experiments.SegmentWinner{}, true},
		"Intersection": {experiments.IntersectionReport{}, true}, "LayerName": {experiments.LayerValue{}, true}, "Rung": {experiments.RungReport{}, true}, "ActionReport": {experiments.ActionReport{}, true},
		"Report": {report.Report{}, true}, "ReportGroup": {report.Group{}, true}, "ReportMetric": {report.Metric{}, true}, "Bounds": {report.Bounds{}, true}, "Lift": {report.Lift{}, true},
		"Catalogue": {juncture.CatalogueView{}, true}, "Editorial": {juncture.Editorial{}, true}, "Holdout": {juncture.Holdout{}, true}, "Products": {juncture.ProductsView{}, true}, "ProductItem": {juncture.ProductItem{}, true}, "ReportHeadline": {report.Headline{}, true}, "ReportTraffic": {report.Traffic{}, true},
		"ReportArm": {report.Arm{}, true}, "ReportRate": {report.Rate{}, true}, "ReportDay": {report.Day{}, true}, "GateReport": {report.GateReport{}, true}, "PlanReport": {report.PlanReport{}, true}, "ReportLayer": {report.Layer{}, true}, "Gate": {juncture.Gate{}, true},
		"Health": {watch.Health{}, true}, "HealthCheck": {watch.Check{}, true}, "HealthRatio": {health.Ratio{}, true}, "HealthRatioRow": {health.RatioRow{}, true}, "HealthRates": {health.RateCheck{}, true},
		"HealthRate": {health.Rate{}, true}, "HealthJump": {health.Jump{}, true}, "HealthEntropy": {watch.EntropyRead{}, true}, "HealthChange": {health.Alarm{}, true},
		"UserView": {juncture.UserView{}, true}, "UsersView": {juncture.UsersView{}, true}, "UserRequest": {juncture.UserRequest{}, false}, "UserChange": {juncture.UserChange{}, true}, "PasswordView": {juncture.PasswordView{}, true},
		"KeyView": {juncture.KeyView{}, true}, "KeysView": {juncture.KeysView{}, true}, "KeyRequest": {juncture.KeyRequest{}, false}, "KeyMade": {juncture.KeyMade{}, true},
		"ShareView": {juncture.ShareView{}, true}, "SharesView": {juncture.SharesView{}, true}, "ShareRequest": {juncture.ShareRequest{}, false}, "ShareMade": {juncture.ShareMade{}, true},
		"AuditView": {juncture.AuditView{}, true}, "AuditPage": {juncture.AuditPage{}, true}, "AuditProof": {juncture.AuditProof{}, true},
		"SettingsView": {juncture.SettingsView{}, true}, "SettingGroup": {juncture.SettingGroup{}, true}, "SettingLine": {juncture.SettingLine{}, true},
		"ArmReport": {experiments.ArmReport{}, true}, "PastArm": {experiments.PastArm{}, true}, "GroupReport": {experiments.GroupReport{}, true},
		"PoolAction": {juncture.PoolAction{}, true}, "PoolCopy": {juncture.PoolCopy{}, true}, "Version": {juncture.VersionView{}, true}, "Hold": {juncture.Hold{}, true}, "Kill": {juncture.Kill{}, true}, "Switch": {juncture.SwitchView{}, true},
		"PoolPriority": {juncture.PoolPriority{}, true}, "Priority": {juncture.Priority{}, true}, "PriorityDraft": {juncture.PriorityDraft{}, true}, "PriorityPreview": {juncture.PriorityPreview{}, true}, "SlotsPreview": {juncture.SlotsPreview{}, true}, "PriorityEffect": {juncture.PriorityEffect{}, true},
		"Nudge": {juncture.Nudge{}, true}, "NudgeView": {juncture.NudgeView{}, true}, "ReviewItem": {juncture.ReviewItem{}, true}, "ReviewRequest": {juncture.ReviewRequest{}, true}, "VersionRef": {juncture.VersionRef{}, true}, "ReasonRequest": {juncture.ReasonRequest{}, true}, "TermsRequest": {juncture.TermsRequest{}, true},
		"ActionDraft": {juncture.ActionDraft{}, true}, "CopyDraft": {juncture.CopyDraft{}, true}, "Copy": {juncture.Copy{}, true}, "Cap": {juncture.Cap{}, true}, "Spend": {juncture.Spend{}, true}, "Frequency": {juncture.Frequency{}, true},
		"Evaluation": {evaluate.Report{}, true}, "Worth": {evaluate.Worth{}, true}, "Observed": {evaluate.Observed{}, true}, "ValuedPolicy": {evaluate.Valued{}, true}, "PolicyDifference": {evaluate.DifferenceOf{}, true},
		"LoggedDecision": {juncture.LoggedDecision{}, true}, "DecisionPage": {juncture.DecisionPage{}, true}, "ExplainedDecision": {juncture.ExplainedDecision{}, true}, "ExplainedLayer": {juncture.ExplainedLayer{}, true},
		"Candidate": {juncture.Candidate{}, true}, "FilteredArm": {juncture.FilteredArm{}, true}, "ExplainedReward": {juncture.ExplainedReward{}, true}, "Replay": {juncture.ReplayView{}, true}, "ReplayPart": {juncture.ReplayPart{}, true},
		"ReplayArm": {juncture.ReplayArm{}, true}, "ReplayEvidence": {juncture.ReplayEvidence{}, true}, "Fit": {juncture.FitView{}, true}, "Mark": {juncture.MarkView{}, true},
		"NotScored": {evaluate.Left{}, true}, "Finding": {evaluate.Finding{}, true}, "TierWorth": {evaluate.Step{}, true}, "OffPolicyEstimate": {offpolicy.Estimate{}, true}, "Figure": {offpolicy.Figure{}, true}, "Range": {offpolicy.Interval{}, true},
	} {
		ref := doc.Components.Schemas[name]
		if ref == nil {
			t.Errorf("no schema %s", name)
			continue
		}
		want, always := map[string]string{}, []string{}
		fieldsOf(reflect.TypeOf(x.v), want, &always)
		got := map[string]string{}
		for field, p := range ref.Value.Properties {
			got[field] = kindOf(p)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: type (-) and schema (+):\n%s", name, diff)
		}
		if required := slices.Sorted(slices.Values(ref.Value.Required)); x.answer && !slices.Equal(slices.Sorted(slices.Values(always)), required) {
			t.Errorf("%s: always there are %q, required %q", name, always, required)
		}
	}
	var codes []any
	for _, c := range []juncture.Code{juncture.CodeInvalidRequest, juncture.CodeInvalidContext, juncture.CodeTargetingKeyMissing, juncture.CodeUnauthorized, juncture.CodeForbidden, juncture.CodeNotFound,
		juncture.CodeSurfaceNotFound, juncture.CodeDecisionNotFound, juncture.CodeMethodNotAllowed, juncture.CodeDecisionConflict, juncture.CodeOutcomeConflict, juncture.CodeTooLarge,
		juncture.CodeUnprocessable, juncture.CodeTooManyRequests, juncture.CodeUnavailable, juncture.CodeInternal} {
		codes = append(codes, string(c))
	}
	if diff := cmp.Diff(codes, doc.Components.Schemas["ProblemView"].Value.Properties["errorCode"].Value.Enum); diff != "" {
		t.Errorf("codes:\n%s", diff)
	}
}

func fieldsOf(t reflect.Type, kinds map[string]string, always *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			fieldsOf(f.Type, kinds, always)
		case name != "-" && f.IsExported():
			kinds[name] = jsonKind(f.Type)
			if !strings.Contains(opts, "omitempty") {
				*always = append(*always, name)
			}
		}
	}
}

func jsonKind(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[json.RawMessage]() {
		return "object" // of whatever fields
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()) {
		return "string"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "integer"
	case reflect.Slice:
		return "array"
	}
	return "object"
}

func kindOf(p *openapi3.SchemaRef) string {
	for _, of := range p.Value.AnyOf {
		if k := kindOf(of); k != "null" {
			return k
		}
	}
	for _, k := range p.Value.Type.Slice() {
		if k != "null" {
			return k
		}
	}
	return "null"
}

// What the server really answers is what the description says, status and all.
func TestAnswersFitTheDescription(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration(testkit.Shares(0.4, 0.2, 0.2, 0.2), func(d *juncture.Declaration) {
		d.Layers["meaning"] = juncture.LayerSetting{Source: juncture.SourceRequest, MaxValues: 5}
		d.Actions[1].Rule, d.Actions[1].Payload = `lifecycle != "loyal"`, map[string]any{"percent": 5}
		d.Surfaces[0].Ceiling = "full"
		d.Experiments[0].Traffic, d.Experiments[0].Floor = ptr(0.9), ptr(0.05)
	}))
	doc := described(t, s)
	seen := map[string]bool{}
	answer := func(method, path, body string, header http.Header, want int) []byte {
		t.Helper()
		r := s.call(method, path, body, header)
		at, _, _ := strings.Cut(path, "?")
		item := doc.Paths.Find(at)
		if item == nil {
			item = doc.Paths.Find(templated(at))
		}
		if item == nil {
			t.Errorf("%s is not described", path)
			return r.body
		}
		resp := item.GetOperation(method).Responses.Value(fmt.Sprint(r.status))
		if r.status != want || resp == nil {
			t.Errorf("%s %s: %d, want %d: described %v: %.300s", method, path, r.status, want, resp != nil, r.body)
			return r.body
		}
		for name, h := range resp.Value.Headers {
			if h.Value.Required && r.header.Get(name) == "" {
				t.Errorf("%s %s: %d without %s", method, path, r.status, name)
			}
		}
		media := resp.Value.Content.Get(r.header.Get("Content-Type"))
		if media == nil {
			t.Errorf("%s %s: content type %q is not described", method, path, r.header.Get("Content-Type"))
			return r.body
		}
		seen[method+" "+path[:min(len(path), 60)]+" "+fmt.Sprint(r.status)] = true
		var v any
		d := json.NewDecoder(bytes.NewReader(r.body))
		if strings.Contains(r.header.Get("Content-Type"), "json") {
			if err := d.Decode(&v); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
				return r.body
			}
		} else {
			v = string(r.body)
		}
		if err := media.Schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020(), openapi3.MultiErrors()); err != nil {
			t.Errorf("%s %s: %v\n%.600s", method, path, err, r.body)
		}
		return r.body
	}
	fits := func(schema, body string) {
		t.Helper()
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
		if err := doc.Components.Schemas[schema].Value.VisitJSON(v, openapi3.EnableJSONSchema2020()); err != nil {
			t.Errorf("a good %s does not fit: %v", schema, err)
		}
	}
	groups := map[string]bool{}
	var decisions []string
	for i := range 60 {
		ask := fmt.Sprintf(`{"surface":"home_hero","shopperId":"s%d","explain":%v,"context":{"n":%d,"b":true,"s":"x"},"layers":{"moment":"%s","meaning":"m%d","trajectory":"high.rising","catalogue":"dresses"}}`,
			i, i%2 == 0, i, []string{"loyal._._", "first-time.cart-abandoned.researching", "_"}[i%3], i%7)
		fits("ChooseRequest", ask)
		var a juncture.ChooseAnswer
		if err := json.Unmarshal(answer("POST", "/choose", ask, nil, 200), &a); err != nil {
			t.Fatal(err)
		}
		groups[a.Group.String()] = true
		decisions = append(decisions, a.DecisionID)
	}
	if len(groups) != 5 {
		t.Errorf("only the groups %v were seen", slices.Sorted(maps.Keys(groups)))
	}
	admin, read := headers("Authorization", "Bearer "+s.keys["admin"]), headers("Authorization", "Bearer "+s.keys["read"])
	answer("POST", "/choose", `{"surface":"cart_email","anonymousId":"a1","deferActivation":true}`, nil, 200)
	answer("POST", "/choose", `{"surface":"home_hero","anonymousId":"a1","consent":{"personalization":"denied"}}`, nil, 200)
	answer("POST", "/choose", `{"surface":"home_hero","anonymousId":"a1","candidates":["nothing"]}`, nil, 200)
	answer("POST", "/choose", `{"surface":"home_hero","anonymousId":"a1","preview":{"actionId":"points"}}`, admin, 200)
	for i, d := range decisions {
		if i%2 == 0 {
			b := `{"decisionId":"` + d + `","event":"click","outcomeId":"o1","value":1}`
			fits("RewardRequest", b)
			answer("POST", "/reward", b, nil, 200)
		}
	}
	d := decisions[0]
	order := `{"decisionId":"` + d + `","event":"purchase","value":20,"currency":"GBP","outcomeId":"o1"}`
	fits("RewardRequest", order)
	fits("ActivateRequest", `{"decisionId":"`+d+`","served":{"actionId":"points","copyId":"plain","probability":0.5}}`)
	answer("POST", "/reward", order, nil, 200)
	answer("POST", "/reward", `{"decisionId":"`+d+`","event":"purchase","adjusts":"o1","outcomeId":"r1","note":1}`, nil, 200)
	answer("POST", "/reward", `{"shopperId":"nobody","event":"click"}`, nil, 200)
	answer("POST", "/activate", `{"decisionId":"`+d+`"}`, nil, 200)
	answer("POST", "/choose/batch", `{"items":[{"surface":"home_hero","shopperId":"z"},{"surface":"nowhere","shopperId":"z"},7]}`, nil, 200)
	answer("POST", "/reward/batch", `{"items":[{"decisionId":"`+d+`","event":"click","outcomeId":"o2"},{}]}`, nil, 200)
	answer("POST", "/choose", `{`, nil, 400)
	answer("POST", "/choose", `{}`, headers("Authorization", ""), 401)
	answer("POST", "/choose", `{}`, read, 403)
	answer("POST", "/choose", `{"surface":"nowhere","shopperId":"a"}`, nil, 404)
	answer("POST", "/choose", strings.Repeat(" ", 70_000), nil, 413)
	answer("POST", "/activate", `{"decisionId":"x"}`, nil, 404)
	answer("POST", "/reward", `{"decisionId":"x","event":"click"}`, nil, 404)
	answer("POST", "/reward", strings.Replace(order, ":20,", ":21,", 1), nil, 409)
	answer("POST", "/reward", strings.Replace(order, ":20,", ":5001,", 1), nil, 422)
	for _, path := range []string{"/api/v1/store", "/api/v1/experiments", "/api/v1/experiments/hero", "/api/v1/experiments/hero/grid", "/api/v1/experiments/hero/grid?rows=mode&cols=meaning&filter.lifecycle=loyal",
		"/api/v1/experiments/hero/winners", "/api/v1/experiments/hero/winners?axes=lifecycle,meaning&limit=3", "/api/v1/experiments/hero/intersection?key=v1/loyal._._/_/_/_", "/api/v1/experiments/hero/intersection?key=v1/nobody/_/_/_",
		"/api/v1/experiments/hero/report", "/api/v1/experiments/hero/history", "/api/v1/products", "/api/v1/products?q=dress&stock=in&hidden=false&limit=3&offset=1", "/api/v1/catalogue", "/api/v1/experiments/hero/report?filter.lifecycle=loyal&cuped=true",
		"/api/v1/experiments/hero/health", "/api/v1/layers", "/api/v1/layers?days=7"} {
		answer("GET", path, "", read, 200)
	}
	answer("GET", "/api/v1/experiments/none/winners", "", read, 404)
	answer("GET", "/api/v1/experiments/none/health", "", read, 404)
	answer("GET", "/api/v1/experiments/hero/winners?limit=x", "", read, 400)
	answer("GET", "/api/v1/experiments/hero/report?cuped=x", "", read, 400)
	for _, bad := range []string{"stock=x", "hidden=x", "limit=0", "limit=1001", "offset=-1", "q=" + strings.Repeat("a", 201)} {
		answer("GET", "/api/v1/products?"+bad, "", read, 400)
	}
	answer("GET", "/api/v1/experiments/none/history", "", read, 404)
	answer("GET", "/api/v1/store", "", nil, 403)
	hero := "/api/v1/experiments/hero/"
	fits("ExperimentChange", `{"reason":"x","action":"news","copy":"plain"}`)
	for _, x := range []struct {
		verb, more string
		want       int
	}{{"pause", "", 200}, {"pause", "", 409}, {"resume", "", 200}, {"start", "", 409}, {"reset", "", 409}, {"stop", "", 200}, {"rollback", "", 409},
		{"ship", `,"action":"none"`, 422}, {"ship", `,"action":"five_off","copy":"urgent"`, 200}, {"rollback", "", 200}, {"stop", `,"copy":"x"`, 400}} {
		answer("POST", hero+x.verb, `{"reason":"x"`+x.more+`}`, admin, x.want)
		answer("GET", "/api/v1/experiments/hero", "", read, 200)
	}
	answer("POST", hero+"pause", `{}`, read, 403)
	answer("POST", hero+"pause", `{}`, headers("Authorization", ""), 401)
	answer("POST", "/api/v1/experiments/none/stop", `{"reason":"x"}`, admin, 404)
	describesThePool(t, s, answer, fits)
	for _, path := range []string{"/livez", "/readyz", "/version", "/openapi.json"} {
		answer("GET", path, "", nil, 200)
	}
	if r := s.call("GET", "/metrics", "", nil); !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
		t.Errorf("metrics are %s", r.header.Get("Content-Type"))
	}
	s.server.Leave()
	answer("GET", "/readyz", "", nil, 503)
	if len(seen) < 45 {
		t.Errorf("only %d answers were looked at", len(seen))
	}
}
