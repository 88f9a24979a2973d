package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture/experiments"
)

// APIPath is the readable page of the API, for everybody.
const APIPath = "/docs/api"

// apiPage is an OpenAPI document for people: each operation, and each schema once, which operations lead to.
type apiPage struct {
	layout
	Version, About string
	Schemes        []apiScheme
	Groups         []apiGroup
	Problems       []apiAnswer // that operations share
	Schemas        []apiSchemaView
	Count          int // of operations
}

type apiScheme struct{ Title, About string }

// apiGroup are the operations of a tag.
type apiGroup struct {
	ID, Title, About string
	Parts            []apiPart
}

// apiPart are those of one kind of thing.
type apiPart struct {
	ID, Title  string // no title: the group has no other part
	Operations []apiOperation
}

type apiOperation struct {
	ID, Method, Path, Summary string
	About, Who                string
	Parameters                []apiField
	Body                      *apiBody
	Answers                   []apiAnswer // described with the operation
	Problems                  []apiAnswer // described once for all
	Curl                      string
}

type apiBody struct {
	apiValue
	Required bool
}

type apiAnswer struct {
	apiValue
	ID, Status, About string
}

// apiValue is a body: of a named schema, or with fields of its own.
type apiValue struct {
	Kind   string // its media type
	Type   []apiWord
	Fields []apiField
}

// apiWord is a piece of a type's name; with a link where it is described elsewhere.
type apiWord struct{ Text, Href string }

type apiField struct {
	Name, In      string
	Type          []apiWord
	Required      bool
	Limits, About string
}

type apiSchemaView struct {
	ID, Name, About string
	Type            []apiWord // of what has no fields
	Limits          string
	Fields          []apiField
	Example         string
}

// The document, as far as the page shows it. Order matters to who reads, so objects keep theirs.
type (
	apiNamed[T any] struct {
		Name  string
		Value T
	}
	apiObject[T any] []apiNamed[T]

	apiDocument struct {
		Info struct{ Version, Summary, Description string }
		Tags []struct{ Name, Description string }

		Security   []map[string][]string
		Paths      apiObject[apiObject[apiDescribed]]
		Components struct {
			Schemas         apiObject[*apiSchema]
			Parameters      map[string]apiParameter
			Responses       apiObject[apiResponse]
			SecuritySchemes apiObject[struct{ Type, Scheme, Description string }]
		}
	}
	apiDescribed struct {
		OperationID, Summary, Description string
		Tags                              []string
		Security                          *[]map[string][]string
		Parameters                        []apiParameter
		RequestBody                       *struct {
			Required bool
			Content  apiObject[apiMedia]
		}
		Responses apiObject[apiResponse]
	}
	apiParameter struct {
		Ref                   string `json:"$ref"`
		Name, In, Description string
		Required              bool
		Schema                apiSchema
		Example               any
	}
	apiResponse struct {
		Ref         string `json:"$ref"`
		Description string
		Content     apiObject[apiMedia]
	}
	apiMedia  struct{ Schema *apiSchema }
	apiSchema struct {
		Ref                          string `json:"$ref"`
		Type                         apiTypes
		Description, Format, Pattern string
		Properties                   apiObject[*apiSchema]
		AdditionalProperties         json.RawMessage
		Required                     []string
		Items                        *apiSchema
		AnyOf                        []*apiSchema
		Enum                         []any
		Examples                     []json.RawMessage
		Default                      any
		Minimum, Maximum             *json.Number
		ExclusiveMinimum             *json.Number
		MinLength, MaxLength         *int
		MinItems, MaxItems           *int
		MaxProperties                *int
	}
	apiTypes []string // one name, or a list of them
)

func (o *apiObject[T]) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		*o = append(*o, apiNamed[T]{fmt.Sprint(name), v})
	}
	return nil
}

func (o apiObject[T]) find(name string) (v T, ok bool) {
	for _, e := range o {
		if e.Name == name {
			return e.Value, true
		}
	}
	return v, false
}

func (t *apiTypes) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = apiTypes{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// drawnAPI is the page as it is served: it says the same to everybody for as long as the process runs.
type drawnAPI struct {
	plain, zipped []byte
	tag           string
}

func (c *Console) drawAPI(document []byte) (*drawnAPI, error) {
	page, err := readAPI(document)
	if err != nil {
		return nil, fmt.Errorf("console: the description of the API: %w", err)
	}
	page.layout = layout{Title: "The API", CSS: staticPath + c.pages.sum + "/console.css", Icon: staticPath + c.pages.sum + "/icon.svg"}
	var b bytes.Buffer
	if err := c.pages.templates["api"].ExecuteTemplate(&b, "base.html", page); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	sum := sha256.Sum256(b.Bytes())
	return &drawnAPI{b.Bytes(), zip(b.Bytes()), hex.EncodeToString(sum[:8])}, nil
}

func (c *Console) apiDocs(g *gin.Context) {
	h := g.Writer.Header()
	h.Set("Cache-Control", "no-cache") // kept, and asked for again
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", "text/html; charset=utf-8")
	body, tag := c.api.plain, c.api.tag
	if takesGzip(g.GetHeader("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body, tag = c.api.zipped, tag+"-gzip"
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(g.Writer, g.Request, "", time.Time{}, bytes.NewReader(body))
}

// apiReader makes the page of a document. The first reference that leads nowhere, or shape that it does not know, is its
// error.
type apiReader struct {
	doc      apiDocument
	statuses map[string]string // of the answers that operations share, by name
	err      error
}

func readAPI(document []byte) (*apiPage, error) {
	r := &apiReader{statuses: map[string]string{}}
	if err := json.Unmarshal(document, &r.doc); err != nil {
		return nil, err
	}
	d := &r.doc
	p := &apiPage{Version: d.Info.Version, About: d.Info.Description}
	for _, s := range d.Components.SecuritySchemes {
		p.Schemes = append(p.Schemes, apiScheme{experiments.Title(s.Name), s.Value.Description})
	}
	for _, t := range d.Tags {
		p.Groups = append(p.Groups, apiGroup{ID: "g-" + slugged(t.Name), Title: experiments.Title(t.Name), About: t.Description})
	}
	for _, path := range d.Paths {
		for _, op := range path.Value {
			i := slices.IndexFunc(d.Tags, func(t struct{ Name, Description string }) bool { return slices.Contains(op.Value.Tags, t.Name) })
			if i < 0 {
				return nil, fmt.Errorf("%s %s: the tags %q are not described", op.Name, path.Name, op.Value.Tags)
			}
			p.Groups[i].add(partOf(path.Name), r.operation(strings.ToUpper(op.Name), path.Name, op.Value))
			p.Count++
		}
	}
	for _, a := range d.Components.Responses {
		p.Problems = append(p.Problems, r.answer(r.statuses[a.Name], a.Value, a.Name))
	}
	slices.SortStableFunc(p.Problems, func(a, b apiAnswer) int { return strings.Compare(a.Status, b.Status) })
	for _, s := range d.Components.Schemas {
		p.Schemas = append(p.Schemas, r.schema(s.Name, s.Value))
	}
	slices.SortFunc(p.Schemas, func(a, b apiSchemaView) int { return strings.Compare(a.Name, b.Name) })
	return p, r.err
}

func slugged(s string) string { return strings.ReplaceAll(strings.ToLower(s), " ", "-") }

// partOf is what a path of the control plane is about; empty for other paths.
func partOf(path string) string {
	rest, ok := strings.CutPrefix(path, "/api/v1/")
	if !ok {
		return ""
	}
	part, _, _ := strings.Cut(rest, "/")
	return part
}

func (g *apiGroup) add(part string, op apiOperation) {
	i := slices.IndexFunc(g.Parts, func(p apiPart) bool { return p.ID == "p-"+part })
	if i < 0 {
		i = len(g.Parts)
		g.Parts = append(g.Parts, apiPart{ID: "p-" + part, Title: experiments.Title(part)})
	}
	g.Parts[i].Operations = append(g.Parts[i].Operations, op)
}

func (r *apiReader) operation(method, path string, d apiDescribed) apiOperation {
	op := apiOperation{ID: d.OperationID, Method: method, Path: path, Summary: d.Summary, About: d.Description, Who: r.who(d)}
	for _, p := range d.Parameters {
		if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			if p, ok = r.doc.Components.Parameters[name]; !ok {
				r.lost(p.Ref)
			}
		}
		f := r.field(p.Name, &p.Schema, p.Required)
		f.In, f.About = p.In, p.Description
		if p.Example != nil {
			f.Limits = listed(f.Limits, fmt.Sprint("such as ", p.Example))
		}
		op.Parameters = append(op.Parameters, f)
	}
	example := ""
	if d.RequestBody != nil {
		op.Body = &apiBody{r.value(d.RequestBody.Content), d.RequestBody.Required}
		example = r.example(d.RequestBody.Content)
	}
	for _, a := range d.Responses {
		if name, ok := strings.CutPrefix(a.Value.Ref, "#/components/responses/"); ok {
			if _, ok := r.doc.Components.Responses.find(name); !ok {
				r.lost(a.Value.Ref)
			}
			r.statuses[name] = a.Name
			op.Problems = append(op.Problems, apiAnswer{ID: "r-" + name, Status: a.Name})
			continue
		}
		op.Answers = append(op.Answers, r.answer(a.Name, a.Value, ""))
	}
	op.Curl = curl(op, example)
	return op
}

// who says which keys may call an operation.
func (r *apiReader) who(d apiDescribed) string {
	needs := r.doc.Security
	if d.Security != nil {
		needs = *d.Security
	}
	var scopes []string
	for _, n := range needs {
		for _, of := range n {
			scopes = append(scopes, of...)
		}
	}
	slices.Sort(scopes)
	scopes = slices.Compact(scopes)
	switch {
	case len(needs) == 0:
		return "Anybody, without a key"
	case len(scopes) == 0:
		return "Any key"
	case slices.Contains(scopes, "admin"):
		return "Keys with the scope admin"
	}
	return "Keys with the scope " + strings.Join(scopes, " or ") + ", or admin"
}

// curl is a call to copy; empty where the document has no example of its body.
func curl(op apiOperation, example string) string {
	s := "curl -s "
	if op.Method != http.MethodGet && op.Method != http.MethodPost {
		s += "-X " + op.Method + " "
	}
	if op.Body != nil && example == "" {
		return ""
	}
	s += "$J" + op.Path
	if op.Who != "Anybody, without a key" {
		s += ` -H "Authorization: Bearer $KEY"`
	}
	switch {
	case example != "":
		s += " -d '" + strings.ReplaceAll(example, "'", `'\''`) + "'"
	case op.Method == http.MethodPost:
		s += " -d '{}'"
	}
	return s
}

func (r *apiReader) answer(status string, d apiResponse, name string) apiAnswer {
	a := apiAnswer{Status: status, About: d.Description, apiValue: r.value(d.Content)}
	if name != "" {
		a.ID = "r-" + name
	}
	return a
}

func (r *apiReader) value(content apiObject[apiMedia]) apiValue {
	var v apiValue
	for _, m := range content {
		v.Kind = listed(v.Kind, m.Name)
		if v.Type == nil && m.Value.Schema != nil {
			v.Type = r.typeOf(m.Value.Schema)
			v.Fields = r.fields("", m.Value.Schema)
		}
	}
	return v
}

// example is the first of a body's schema, in as few characters as JSON needs.
func (r *apiReader) example(content apiObject[apiMedia]) string {
	for _, m := range content {
		if m.Value.Schema == nil {
			continue
		}
		s := m.Value.Schema
		if s.Ref != "" {
			s = r.find(s.Ref)
		}
		if s != nil && len(s.Examples) > 0 {
			var b bytes.Buffer
			if r.fail(json.Compact(&b, s.Examples[0])) {
				return b.String()
			}
		}
	}
	return ""
}

func (r *apiReader) schema(name string, s *apiSchema) apiSchemaView {
	v := apiSchemaView{ID: "s-" + name, Name: name, About: s.Description, Limits: limits(s), Fields: r.fields("", s)}
	if len(v.Fields) == 0 {
		v.Type = r.typeOf(s)
	}
	if len(s.Examples) > 0 {
		var b bytes.Buffer
		r.fail(json.Indent(&b, s.Examples[0], "", "  "))
		v.Example = b.String()
	}
	return v
}

func (r *apiReader) fail(err error) bool {
	if r.err == nil {
		r.err = err
	}
	return err == nil
}

func (r *apiReader) lost(ref string) { r.fail(fmt.Errorf("%s leads nowhere", ref)) }

func (r *apiReader) find(ref string) *apiSchema {
	name, _ := strings.CutPrefix(ref, "#/components/schemas/")
	s, ok := r.doc.Components.Schemas.find(name)
	if !ok {
		r.lost(ref)
	}
	return s
}

// fields are those of an object, and below each those of what it holds, unless that has a name of its own.
func (r *apiReader) fields(prefix string, s *apiSchema) []apiField {
	var out []apiField
	for _, p := range s.Properties {
		out = append(out, r.field(prefix+p.Name, p.Value, slices.Contains(s.Required, p.Name)))
		out = append(out, r.fields(prefix+p.Name+".", p.Value)...)
	}
	if s.Items != nil {
		out = append(out, r.fields(strings.TrimSuffix(prefix, ".")+"[].", s.Items)...)
	}
	if more := additional(s); more != nil {
		out = append(out, r.fields(prefix+"*.", more)...)
	}
	return out
}

func (r *apiReader) field(name string, s *apiSchema, required bool) apiField {
	return apiField{Name: name, Type: r.typeOf(s), Required: required, Limits: limits(s), About: s.Description}
}

// additional is the schema of the values of an object whose keys are not named; nil for none.
func additional(s *apiSchema) *apiSchema {
	if len(s.AdditionalProperties) == 0 || s.AdditionalProperties[0] != '{' {
		return nil
	}
	more := &apiSchema{}
	if json.Unmarshal(s.AdditionalProperties, more) != nil {
		return nil
	}
	return more
}

// typeOf names a type, with links to the schemas that it is made of.
func (r *apiReader) typeOf(s *apiSchema) []apiWord {
	if s.Ref != "" {
		r.find(s.Ref)
		name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
		return []apiWord{{name, "#s-" + name}}
	}
	var out []apiWord
	or := func(words ...apiWord) {
		if len(out) > 0 {
			out = append(out, apiWord{Text: " or "})
		}
		out = append(out, words...)
	}
	for _, a := range s.AnyOf {
		or(r.typeOf(a)...)
	}
	for _, t := range s.Type {
		switch {
		case t == "array" && s.Items != nil:
			or(append([]apiWord{{Text: "list of "}}, r.typeOf(s.Items)...)...)
		case t == "object" && additional(s) != nil:
			or(append([]apiWord{{Text: "object of "}}, r.typeOf(additional(s))...)...)
		case t == "string" && s.Format != "":
			or(apiWord{Text: s.Format})
		default:
			or(apiWord{Text: t})
		}
	}
	if out == nil {
		or(apiWord{Text: "anything"})
	}
	return out
}

func listed(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
}

// limits are what a value is held to, in words.
func limits(s *apiSchema) string {
	out := ""
	say := func(format string, a ...any) { out = listed(out, fmt.Sprintf(format, a...)) }
	if len(s.Enum) > 0 {
		words := make([]string, len(s.Enum))
		for i, e := range s.Enum {
			if words[i] = fmt.Sprint(e); words[i] == "" {
				words[i] = `""`
			}
		}
		say("one of %s", strings.Join(words, ", "))
	}
	between := func(least, most, what string) {
		switch {
		case least != "" && most != "":
			say("%s to %s%s", least, most, what)
		case least != "":
			say("at least %s%s", least, what)
		case most != "":
			say("up to %s%s", most, what)
		}
	}
	number := func(n *json.Number) string {
		if n == nil {
			return ""
		}
		return n.String()
	}
	many := func(n *int) string {
		if n == nil {
			return ""
		}
		return strconv.Itoa(*n)
	}
	between(number(s.Minimum), number(s.Maximum), "")
	if s.ExclusiveMinimum != nil {
		say("above %s", s.ExclusiveMinimum)
	}
	between(many(s.MinLength), many(s.MaxLength), " characters")
	between(many(s.MinItems), many(s.MaxItems), " of them")
	between("", many(s.MaxProperties), " keys")
	if s.Pattern != "" {
		say("matches %s", s.Pattern)
	}
	if s.Default != nil {
		say("%v unless it is sent", s.Default)
	}
	if s.Properties == nil && len(s.Examples) > 0 {
		say("such as %s", s.Examples[0])
	}
	return out
}
