package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/pool"
	"github.com/juncture/juncture/server"
	"github.com/juncture/juncture/store"
)

// evaluateFlags are what an evaluation is told.
type evaluateFlags struct {
	logFlags
	only     []string
	ceiling  string
	worth    bool
	file     string
	outcomes string
	declared string
	asOf     string
	format   string

	table   evaluate.TableColumns
	targets string
}

func (a *app) evaluateCommand() *cobra.Command {
	var o evaluateFlags
	c := &cobra.Command{Use: "evaluate [LOG.csv]", Args: cobra.MaximumNArgs(1),
		Short: "What other policies would have earned, from the decisions that were logged",
		Long: `Evaluate walks an experiment's log and says what other policies would have earned on it: the policy as it ran, every arm
alike, the best single arm, each action alone; with --only those actions alone, with --ceiling no more known of a shopper
than that tier tells. With --worth it says whether personalising does harm, and what each layer adds. Models and policies
are made as the walk goes, from what was known before each decision; figures are doubly robust, with 95% intervals
clustered by shopper, and are refused where the log says too little (docs/statistics.md, E.9 and E.10).

--only is the policy among those actions, not the one that would have learnt from them alone. Nudges are not in it.

With --file it reads decisions, and with --outcomes what came of them, as juncture export writes them, and the experiment
from the store file that --declared names.

With LOG.csv it reads somebody else's log, a row a decision (gzipped or not): --reward and --propensity name its columns,
--target that of the target policy's probability of the arm that was shown, or uniform. With --targets it is a column of
another file, found by the columns --on, {name} in it standing for the log's value of a column.`,
		Example: `  juncture evaluate --experiment hero --only welcome,five_off --from 2026-05-01
  juncture evaluate log.csv --arm item_id --reward click --propensity p --targets production.csv --on item_id --target 'p_{position}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.format != "text" && o.format != "json" {
				return fmt.Errorf("--format %.20q is neither text nor json", o.format)
			}
			if len(args) == 1 {
				return a.evaluateTable(args[0], o)
			}
			return a.evaluate(cmd.Context(), o)
		}}
	o.add(c)
	f := c.Flags()
	f.StringArrayVar(&o.only, "only", nil, "what if only these actions had been approved: a,b; may be repeated")
	f.StringVar(&o.ceiling, "ceiling", "", "what if no more were known than this tier tells: store, moment, meaning, trajectory")
	f.BoolVar(&o.worth, "worth", false, "whether personalising does harm, and what each layer adds")
	f.StringVar(&o.file, "file", "", "decisions as NDJSON, instead of the database")
	f.StringVar(&o.outcomes, "outcomes", "", "with --file: their outcomes as NDJSON")
	f.StringVar(&o.declared, "declared", "", "with --file: the store file")
	f.StringVar(&o.asOf, "as-of", "", "leave out decisions whose reward window was open then; of a file, when it was exported (now)")
	f.StringVar(&o.format, "format", "text", "text or json")
	f.StringVar(&o.table.Reward, "reward", "", "with LOG.csv: column of what was earned")
	f.StringVar(&o.table.Propensity, "propensity", "", "with LOG.csv: column of the probability with which the arm was drawn")
	f.StringVar(&o.table.Arm, "arm", "", "with LOG.csv: column of what was shown")
	f.StringVar(&o.table.Shopper, "shopper", "", "with LOG.csv: column of who saw it: their rows may depend on one another")
	f.StringVar(&o.table.Target, "target", "", "with LOG.csv: column of the target's probability, or uniform")
	f.StringVar(&o.targets, "targets", "", "with LOG.csv: a CSV with the target's probabilities")
	f.StringSliceVar(&o.table.On, "on", nil, "with --targets: columns of both by which its rows are found")
	return c
}

func (a *app) evaluate(ctx context.Context, o evaluateFlags) error {
	q := question{Evaluation: server.Evaluation{Experiment: o.experiment, Ceiling: o.ceiling, Worth: o.worth}}
	for _, set := range o.only {
		q.sets = append(q.sets, fields(set))
	}
	var err error
	if q.From, q.To, err = o.period(); err != nil {
		return err
	}
	if q.asOf, err = parseMoment("--as-of", o.asOf); err != nil {
		return err
	}
	if q.asOf.IsZero() {
		q.asOf = a.now().UTC()
	}
	var found answer
	if o.file != "" {
		found, err = q.ofFiles(o)
	} else if o.outcomes != "" || o.declared != "" {
		return errors.New("--outcomes and --declared go with --file")
	} else {
		err = a.withExisting(ctx, func(db *store.DB) error { found, err = q.ofStore(ctx, db); return err })
	}
	if err != nil {
		return err
	}
	return a.tell(found, o.format)
}

func (a *app) tell(found answer, format string) error {
	if format == "text" {
		return found.Write(a.out)
	}
	w := json.NewEncoder(a.out)
	w.SetIndent("", "  ")
	return w.Encode(found)
}

func (a *app) evaluateTable(file string, o evaluateFlags) error {
	log, err := os.Open(file)
	if err != nil {
		return err
	}
	defer log.Close()
	var targets io.Reader
	if o.targets != "" {
		f, err := os.Open(o.targets)
		if err != nil {
			return err
		}
		defer f.Close()
		targets = f
	}
	found, err := evaluate.ReadTable(log, targets, o.table)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return a.tell(found, o.format)
}

// answer is a report of a walk.
type answer interface{ Write(io.Writer) error }

// question is an evaluation to be made.
type question struct {
	server.Evaluation
	sets [][]string // of actions
	asOf time.Time
}

// mostActions bounds the actions that are valued alone.
const mostActions = 50

// begin makes a walk for the question, of what a store declares.
func (q *question) begin(d *juncture.Declaration, arms map[juncture.Arm]juncture.ArmID, name func(juncture.ArmID) (juncture.Arm, bool)) (*evaluate.Walk, error) {
	if q.Experiment == "" && len(d.Experiments) == 1 {
		q.Experiment = d.Experiments[0].ID
	}
	i := slices.IndexFunc(d.Experiments, func(x juncture.Experiment) bool { return x.ID == q.Experiment })
	if i < 0 {
		var ids []string
		for _, x := range d.Experiments {
			ids = append(ids, x.ID)
		}
		return nil, juncture.Errorf(juncture.CodeNotFound, "no experiment is called %.80q", q.Experiment).WithHint("there are: " + strings.Join(ids, ", "))
	}
	x := d.Experiments[i]
	var actions []string // of the surface, in the order of their names
	for arm := range arms {
		if !slices.Contains(actions, arm.Action) {
			actions = append(actions, arm.Action)
		}
	}
	slices.Sort(actions)
	targets, comparisons := evaluate.WorthOf(&x)
	if !q.Worth {
		targets, comparisons = []evaluate.Target{evaluate.Logged(), evaluate.Uniform(), evaluate.BestArm()}, nil
		what := func(t evaluate.Target) {
			targets = append(targets, t)
			comparisons = append(comparisons, evaluate.Comparison{A: len(targets) - 1, B: 0})
		}
		for _, set := range q.sets {
			for _, action := range set {
				if !slices.Contains(actions, action) {
					return nil, juncture.Errorf(juncture.CodeInvalidRequest, "no action is called %.80q", action).WithField("only").WithHint("of this surface there were: " + strings.Join(actions, ", "))
				}
			}
			what(evaluate.Only(set...))
		}
		if q.Ceiling != "" {
			t, ok := juncture.ParseTier(q.Ceiling)
			if !ok {
				return nil, juncture.Errorf(juncture.CodeInvalidRequest, "no tier is called %.80q", q.Ceiling).WithField("ceiling").WithHint("store, moment, meaning, trajectory or full")
			}
			what(evaluate.Ceiling(t))
		}
		if len(comparisons) == 0 {
			for _, action := range actions[:min(len(actions), mostActions)] {
				targets = append(targets, evaluate.Only(action))
			}
		}
	}
	return evaluate.New(evaluate.Settings{Experiment: x, Ended: d.Phases[x.ID], Outcomes: d.Outcomes, Currency: d.Store.Currency, Arm: name, From: q.From, To: q.To, AsOf: q.asOf}, targets, comparisons)
}

func (q *question) read(w *evaluate.Walk) answer {
	if q.Worth {
		found := w.Worth()
		return &found
	}
	found := w.Report()
	return &found
}

// ofStore asks a store's own log. Evidence begins with the log, whatever is scored.
func (q *question) ofStore(ctx context.Context, db *store.DB) (answer, error) {
	catalog, err := db.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	built, err := pool.Build(catalog)
	if err != nil {
		return nil, err
	}
	names := armNames(catalog)
	ofSurface := map[juncture.Arm]juncture.ArmID{}
	if x := built.Experiments[q.experimentOf(&catalog.Declaration)]; x != nil {
		for id, a := range built.Arms {
			if slices.Contains(a.Action.Surfaces, x.Surface) {
				ofSurface[a.Arm] = id
			}
		}
	}
	w, err := q.begin(&catalog.Declaration, ofSurface, func(id juncture.ArmID) (juncture.Arm, bool) { a, ok := names[id]; return a, ok })
	if err != nil {
		return nil, err
	}
	err = db.EachSettled(ctx, q.Experiment, time.Time{}, q.To, func(s juncture.Settled) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return w.Add(&s)
	})
	if err != nil {
		return nil, err
	}
	return q.read(w), nil
}

// experimentOf is the experiment that is asked about: of a store with one, that one needs no name.
func (q *question) experimentOf(d *juncture.Declaration) string {
	if q.Experiment == "" && len(d.Experiments) == 1 {
		return d.Experiments[0].ID
	}
	return q.Experiment
}

// ofFiles asks files as they are exported.
func (q *question) ofFiles(o evaluateFlags) (answer, error) {
	if o.declared == "" {
		return nil, errors.New("--file needs --declared store.yaml: the experiment, its goal and its group shares")
	}
	b, err := readFile(o.declared)
	if err != nil {
		return nil, err
	}
	d, err := intake.ParseStoreFile(o.declared, b, pool.RuleProblems)
	if err != nil {
		return nil, err
	}
	decisions, err := os.Open(o.file)
	if err != nil {
		return nil, err
	}
	defer decisions.Close()
	log := intake.SettledLog{Decisions: decisions, Types: d.Outcomes, Currency: d.Store.Currency}
	if o.outcomes != "" {
		f, err := os.Open(o.outcomes)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		log.Outcomes = f
	}
	arms := map[juncture.Arm]juncture.ArmID{}
	if i := slices.IndexFunc(d.Experiments, func(x juncture.Experiment) bool { return x.ID == q.experimentOf(d) }); i >= 0 {
		for _, action := range d.Actions {
			if slices.Contains(action.Surfaces, d.Experiments[i].Surface) {
				arms[juncture.Arm{Action: action.ID}] = 0
			}
		}
	}
	w, err := q.begin(d, arms, log.Arm)
	if err != nil {
		return nil, err
	}
	for s, err := range log.All() {
		if err == nil && s.Experiment == q.Experiment {
			err = w.Add(&s)
		}
		if err != nil {
			return nil, err
		}
	}
	return q.read(w), nil
}
