package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/juncture/juncture"

// room is what a package may import beside the standard library, and why no more.
type room struct {
	mine   []string // packages of this module, "." for the root; a trailing /... takes what is below
	others []string // libraries, by path prefix
	why    string
}

// The table of docs/design.md section 2.
func rooms() map[string]room {
	return map[string]room{
		".":                     {nil, nil, "the nouns know nothing of how they are stored, served or learnt"},
		"layers":                {[]string{".", "layers/..."}, nil, "a shopper is described without knowing what will be decided"},
		"layers/moment":         {[]string{"."}, gonum(), "layers are siblings: what one needs of another goes through package layers"},
		"layers/meaning":        {[]string{"."}, gonum(), "layers are siblings: what one needs of another goes through package layers"},
		"layers/trajectory":     {[]string{"."}, gonum(), "layers are siblings: what one needs of another goes through package layers"},
		"layers/catalogue":      {[]string{"."}, gonum(), "layers are siblings: what one needs of another goes through package layers"},
		"policy":                {[]string{"."}, gonum(), "a choice is a function of evidence: it must be reproducible without a store or a clock"},
		"policy/lattice":        {[]string{".", "policy"}, gonum(), "a snapshot is a function of counts: any node must be able to fit it again"},
		"simulate":              {[]string{"."}, gonum(), "a made-up store drives any policy and favours none"},
		"experiments":           {[]string{".", "policy", "layers", "experiments/interval"}, gonum(), "a read-out is a function of evidence; layers lends it the order of their values, interval what may be claimed of many cells"},
		"experiments/report":    {[]string{".", "experiments", "experiments/interval"}, nil, "a report is a function of enrolments and rollups, in numbers and words"},
		"experiments/interval":  {[]string{"."}, gonum(), "a lift is a function of sums: anybody who has them must get the same interval"},
		"experiments/health":    {[]string{"."}, gonum(), "whether numbers may be believed is judged apart from what they say"},
		"traffic":               {[]string{"."}, nil, "who is a person is decided before anything is decided for them"},
		"evaluate":              {[]string{".", "policy", "policy/lattice", "experiments", "experiments/offpolicy"}, nil, "what other policies would have earned follows from a log alone: no store, no engine"},
		"experiments/offpolicy": {[]string{"."}, gonum(), "an estimator knows weights and rewards, and nothing of who drew them"},
		"experiments/watch":     {[]string{".", "experiments", "experiments/health"}, nil, "whether numbers may be believed is read from tallies and decisions, and never from lifts"},
		"pool":                  {[]string{"."}, []string{"github.com/expr-lang/expr"}, "what may be shown does not depend on what has been learnt"},
		"access":                {[]string{"."}, []string{"golang.org/x/crypto", "github.com/coreos/go-oidc/v3", "golang.org/x/oauth2"}, "who may do what is decided apart from what is done"},
		"audit":                 {[]string{"."}, nil, "the log proves itself with nothing but a hash"},
		"intake":                {[]string{"."}, []string{"gopkg.in/yaml.v3"}, "what comes from outside is checked before anything else sees it"},
		"engine":                {[]string{".", "layers", "layers/...", "policy", "policy/lattice", "experiments", "experiments/...", "pool", "traffic"}, []string{"github.com/hashicorp/golang-lru/v2"}, "use cases reach the store through ports they declare, never the other way round"},
		"store":                 {[]string{".", "migrations", "access", "audit"}, []string{"github.com/jmoiron/sqlx", "github.com/mattn/go-sqlite3", "github.com/pressly/goose/v3"}, "SQL stays in one room; access and audit lend it the rows it keeps for them"},
		"store/storetest":       {[]string{".", "store", "access", "audit", "internal/testkit"}, []string{"github.com/google/go-cmp", "pgregory.net/rapid"}, "one contract for every database"},
		"migrations":            {nil, nil, "only files"},
		"server":                {[]string{".", "engine", "experiments", "experiments/...", "pool", "access", "audit", "intake"}, []string{"github.com/gin-gonic/gin", "github.com/google/uuid", "github.com/klauspost/compress/gzhttp", "github.com/prometheus/client_golang", "github.com/hashicorp/golang-lru/v2", "golang.org/x/time/rate"}, "HTTP holds no rules of the domain and no SQL"},
		"console":               {[]string{".", "experiments", "experiments/...", "evaluate", "pool", "access", "audit", "policy", "console/chart"}, []string{"github.com/gin-gonic/gin"}, "pages show what the same ports give the API"},
		"console/preview":       {[]string{".", "console", "experiments", "experiments/...", "evaluate", "access", "audit"}, []string{"github.com/gin-gonic/gin"}, "canned data know the console's ports, and the console nothing of canned data"},
		"console/chart":         {nil, nil, "a figure is a function of its numbers"},
		"client":                {[]string{"."}, nil, "a shop that imports the client gets nothing else with it"},
		"replay":                {[]string{".", "experiments"}, gonum(), "a replay drives Juncture as a shop does, through Choose and Reward"},
		"demo":                  {[]string{"."}, nil, "made-up shoppers know only what a shopper knows"},
		"cmd/juncture":          {[]string{"..."}, []string{"github.com/spf13/cobra", "github.com/caarlos0/env/v11", "gopkg.in/yaml.v3", "github.com/prometheus/client_golang", "github.com/schollz/progressbar/v3", "golang.org/x/term"}, "wiring may know everybody"},
		"internal/arch":         {nil, nil, "rules depend on nothing they judge"},
		"internal/testkit":      {[]string{"..."}, []string{"pgregory.net/rapid"}, "tests may wire what they need"},
	}
}

func gonum() []string { return []string{"gonum.org/v1/gonum"} }

type pkg struct {
	dir     string
	name    string
	doc     string
	imports map[string]string // path to the file that has it
}

// packages parses every package of the module but its tests.
func packages(t *testing.T) []pkg {
	t.Helper()
	root := filepath.Join("..", "..")
	byDir := map[string]*pkg{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && file != root && (strings.HasPrefix(name, ".") || slices.Contains([]string{"testdata", "node_modules", "bin", "juncture-data"}, name)) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(rel)
		p := byDir[dir]
		if p == nil {
			p = &pkg{dir: dir, name: f.Name.Name, imports: map[string]string{}}
			byDir[dir] = p
		}
		if f.Doc != nil {
			p.doc = f.Doc.Text()
		}
		for _, i := range f.Imports {
			v, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			p.imports[v] = file
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(byDir) < 20 {
		t.Fatalf("found %d packages; the walk is broken", len(byDir))
	}
	var out []pkg
	for _, p := range byDir {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b pkg) int { return strings.Compare(a.dir, b.dir) })
	return out
}

func allows(r room, imported string) bool {
	if imported == module || strings.HasPrefix(imported, module+"/") {
		rel := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
		if rel == "" {
			rel = "."
		}
		return slices.ContainsFunc(r.mine, func(m string) bool {
			if m == "..." || m == rel {
				return true
			}
			below, ok := strings.CutSuffix(m, "/...")
			return ok && strings.HasPrefix(rel, below+"/")
		})
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return imported != "C" && imported != "unsafe" // the standard library
	}
	return slices.ContainsFunc(r.others, func(o string) bool { return imported == o || strings.HasPrefix(imported, o+"/") })
}

func TestImports(t *testing.T) {
	table := rooms()
	for _, p := range packages(t) {
		r, ok := table[p.dir]
		if !ok {
			t.Errorf("package %s is in no room: add it to the table with its reason, here and in docs/design.md", p.dir)
			continue
		}
		for imported, file := range p.imports {
			if !allows(r, imported) {
				t.Errorf("%s imports %s, but %s", file, imported, r.why)
			}
		}
	}
}

// The root, policy and experiments take time and randomness as arguments; so do the layers.
func TestNoClockNoGlobalRandomness(t *testing.T) {
	pure := []string{".", "layers", "layers/moment", "layers/meaning", "layers/trajectory", "layers/catalogue", "policy",
		"experiments", "pool", "access", "audit", "intake", "engine", "console/chart", "console/preview", "demo", "replay", "policy/lattice", "simulate",
		"experiments/interval", "experiments/report", "experiments/health", "traffic", "experiments/watch"}
	for _, dir := range pure {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(dir), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := call.X.(*ast.Ident); ok && x.Obj == nil {
					switch x.Name + "." + call.Sel.Name {
					case "time.Now", "time.Since", "time.Until", "rand.Reader", "rand.IntN", "rand.Float64", "rand.Uint64", "rand.Perm", "rand.Shuffle":
						t.Errorf("%s uses %s.%s: time and randomness are arguments here, so that a decision can be replayed", file, x.Name, call.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	for _, p := range packages(t) {
		want := "Package " + p.name + " "
		if p.name == "main" {
			want = "Command " + path.Base(p.dir) + " "
		}
		if !strings.HasPrefix(p.doc, want) {
			t.Errorf("%s: the package comment does not begin with %q", p.dir, want)
		}
		if slices.Contains([]string{"util", "utils", "common", "helpers", "models", "types", "misc"}, p.name) {
			t.Errorf("%s: the name says nothing", p.dir)
		}
	}
}

func TestNoInit(t *testing.T) {
	err := filepath.WalkDir(filepath.Join("..", ".."), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") {
			return err
		}
		b, err := os.ReadFile(file)
		if err == nil && strings.Contains("\n"+string(b), "\nfunc init()") {
			t.Errorf("%s has an init: wire it where it is used", file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
