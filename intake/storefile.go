package intake

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/juncture/juncture"
	"gopkg.in/yaml.v3"
)

// Limits of a store file.
const (
	MaxStoreFile    = 4 << 20 // bytes
	maxProblems     = 100     // told at once
	maxPayloadDepth = 16      // mappings and lists inside one another
)

// FileProblem is one thing wrong with a file.
type FileProblem struct {
	File    string
	Line    int    // from 1
	Column  int    // from 1, in characters
	Path    string // such as actions[1].copy[0].id; empty for the whole file
	Message string
	Hint    string // what to write instead; may be empty
}

func (p FileProblem) String() string {
	s := fmt.Sprintf("%s:%d: ", p.File, p.Line)
	if p.Path != "" {
		s += p.Path + ": "
	}
	s += p.Message
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// FileError is everything wrong with a file, in order of line. As a *juncture.Error (errors.As) it is
// CodeInvalidRequest with the first problem.
type FileError struct{ Problems []FileProblem }

// Error prints a line for each problem.
func (e *FileError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the *juncture.Error.
func (e *FileError) Unwrap() error {
	if len(e.Problems) == 0 {
		return juncture.Errorf(juncture.CodeInvalidRequest, "the file is refused")
	}
	p := e.Problems[0]
	where := fmt.Sprintf("%s:%d", p.File, p.Line)
	if p.Path != "" {
		where += ": " + p.Path
	}
	return juncture.Errorf(juncture.CodeInvalidRequest, "%s: %s", where, p.Message).WithHint(p.Hint).WithField(p.Path)
}

// ParseStoreFile reads a store file: one YAML document of at most MaxStoreFile bytes, without aliases, with the field
// names of juncture.Declaration in JSON. name stands before the line numbers. A layer without a source is derived, an
// experiment without a status a draft; times become UTC; the numbers of a payload become float64 and are refused
// where that would change them. checks find what this room does not know to look for, such as rules that do not compile.
//
// Errors: CodeTooLarge, or *FileError: first what cannot be read (unknown and repeated fields, wrong types), and only
// when all can be read what Declaration.Problems finds.
func ParseStoreFile(name string, b []byte, checks ...func(*juncture.Declaration) []juncture.Problem) (*juncture.Declaration, error) {
	if len(b) > MaxStoreFile {
		return nil, juncture.Errorf(juncture.CodeTooLarge, "%s is larger than %d bytes", name, MaxStoreFile).WithField(name)
	}
	r := reader{file: name, at: map[string]*yaml.Node{}}
	d := &juncture.Declaration{}
	if root := r.document(b); root != nil {
		r.at[""] = root
		r.read(root, "", storeFileShape(), reflect.ValueOf(d).Elem())
	}
	if len(r.problems) == 0 {
		for name, l := range d.Layers {
			l.Source = cmp.Or(l.Source, juncture.SourceDerived)
			d.Layers[name] = l
		}
		for i := range d.Experiments {
			e := &d.Experiments[i]
			e.Status = cmp.Or(e.Status, juncture.StatusDraft)
		}
		problems := d.Problems()
		for _, check := range checks {
			problems = append(problems, check(d)...)
		}
		for _, p := range problems {
			r.add(r.nearest(p.Path), p.Path, p.Message, p.Hint)
		}
	}
	if len(r.problems) == 0 {
		return d, nil
	}
	slices.SortStableFunc(r.problems, func(a, b FileProblem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return nil, &FileError{Problems: r.problems}
}

// storeFileShape is a declaration less what the store derives.
func storeFileShape() *shape {
	return shapeOf(reflect.TypeFor[juncture.Declaration]()).without("copyOrder", "phases", "shipped", "tripped", "resets", "terms", "holds", "kills")
}

// reader turns the nodes of one file into a declaration, and gathers problems.
type reader struct {
	file     string
	at       map[string]*yaml.Node // where a path stands: its key or its value
	problems []FileProblem
}

func (r *reader) add(n *yaml.Node, path, message, hint string) {
	r.addLine(n.Line, n.Column, path, message, hint)
}

func (r *reader) addLine(line, column int, path, message, hint string) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, FileProblem{r.file, max(line, 1), max(column, 1), path, message, hint})
	}
}

// nearest finds the node of a path, or of the nearest part of the file that it would stand in.
func (r *reader) nearest(path string) *yaml.Node {
	for {
		if n, ok := r.at[path]; ok {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

const emptyFile = "begin with store: {name: Demo, currency: GBP}"

// document parses the text and returns its mapping; nil where there is a problem.
func (r *reader) document(b []byte) *yaml.Node {
	if !utf8.Valid(b) {
		good := 0
		for good < len(b) {
			c, size := utf8.DecodeRune(b[good:])
			if c == utf8.RuneError && size == 1 {
				break
			}
			good += size
		}
		r.addLine(1+bytes.Count(b[:good], []byte("\n")), 1, "", "the file is not UTF-8", "save it as UTF-8")
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc, second yaml.Node
	err := decodeYAML(dec, &doc)
	if errors.Is(err, io.EOF) {
		r.addLine(1, 1, "", "the file is empty", emptyFile)
		return nil
	}
	if err == nil {
		if err = decodeYAML(dec, &second); err == nil {
			r.add(&second, "", "a second document begins here", "one file is one store: delete the line ---")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		r.syntax(b, err)
		return nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		r.addLine(1, 1, "", "the file is empty", emptyFile)
		return nil
	}
	return root
}

// decodeYAML turns a panic of the parser into an error: yaml.v3 has had one on malformed text (CVE-2022-28948).
func decodeYAML(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	return dec.Decode(n)
}

var syntaxHints = [...]struct{ part, hint string }{
	{"tab character", "indent with spaces"},
	{"mapping values are not allowed", `check the indentation, and put text that holds ": " in quotes`},
	{"',' or", "close the bracket, or put a comma between its entries"},
	{"unexpected end of stream", "close the quote"},
	{"cannot start any token", "put the value in quotes"},
	{"expected key", "check the indentation and the quotes"},
	{"expected '-'", "check the indentation of the list"},
	{"unknown anchor", "write the value out: a store file has no aliases"},
	{"expected ':'", "write name: value"},
	{"escape", "in double quotes write a backslash as two"},
	{"control characters", "delete the character"},
}

// maxSearch bounds the text in which the line of a syntax error is searched for: each step parses it again.
const maxSearch = 256 << 10

// syntax says where the text stops being YAML. The parser often names the line where the enclosing block began, off by
// one, or none; the first line whose end brings the same message is the true one. An open bracket or quote is the
// exception: any text that ends inside one is broken.
func (r *reader) syntax(b []byte, err error) {
	line, message := splitYAMLError(err)
	hint := "check the YAML of this line"
	for _, h := range syntaxHints {
		if strings.Contains(message, h.part) {
			hint = h.hint
			break
		}
	}
	switch {
	case strings.Contains(message, "',' or"):
		line++ // the parser counts these from 0
	case strings.Contains(message, "end of stream") || len(b) > maxSearch:
	default:
		ends := []int{}
		for i, c := range b {
			if c == '\n' {
				ends = append(ends, i+1)
			}
		}
		at, _ := slices.BinarySearchFunc(ends, message, func(end int, message string) int {
			if _, m := splitYAMLError(parses(b[:end])); m == message {
				return 0
			}
			return -1
		})
		line = at + 1
	}
	r.addLine(line, 1, "", message, hint)
}

func parses(b []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	for {
		var n yaml.Node
		if err := decodeYAML(dec, &n); err != nil {
			return err
		}
	}
}

// splitYAMLError takes "yaml: line 3: message" apart; without a line it is 1.
func splitYAMLError(err error) (line int, message string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	if _, scanErr := fmt.Sscanf(message, "line %d: ", &line); scanErr == nil {
		_, message, _ = strings.Cut(message, ": ")
		return line, message
	}
	return 1, message
}
