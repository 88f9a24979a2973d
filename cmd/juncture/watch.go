package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/juncture/juncture/experiments/health"
)

// How often decisions are folded into what health reads, and how often the health of what runs is judged for its metric.
const (
	watchEvery = 30 * time.Second
	judgeEvery = 10 * time.Minute
)

// watch folds decisions, and judges the health of running experiments and holdouts one after another, until ctx ends.
// Failing once is logged and tried again.
func (n *node) watch(ctx context.Context, clock func() time.Time) {
	var judged time.Time // real time
	every(ctx, watchEvery, func() {
		for read := 1; read > 0 && ctx.Err() == nil; {
			var err error
			if read, err = n.engine.Watch(ctx, clock()); err != nil {
				read = 0
				if ctx.Err() == nil {
					n.log.Error("read decisions for health", "error", err)
				}
			}
		}
		if time.Since(judged) >= judgeEvery {
			n.judge(ctx, clock())
			judged = time.Now()
		}
	})
}

// detect takes out the shoppers who proved to be programs by how they call, until ctx ends.
func (n *node) detect(ctx context.Context, clock func() time.Time) {
	every(ctx, time.Second, func() {
		if _, err := n.engine.ExcludeDetected(ctx, clock()); err != nil && ctx.Err() == nil {
			n.log.Error("take a program out", "error", err)
		}
	})
}

// judge notes the health of all that runs.
func (n *node) judge(ctx context.Context, now time.Time) {
	states := map[string]float64{}
	for _, id := range reported(n.engine.Pool(), now) {
		h, err := n.engine.Health(ctx, id, now)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			n.log.Error("judge health", "experiment", id, "error", err)
			continue
		}
		if states[id] = severity(h.State); h.State == health.VerdictMismatch {
			n.log.Warn("the numbers of an experiment may not be believed", "experiment", id, "why", h.Sentences[0])
		}
	}
	n.verdicts.set(states)
}

func severity(v health.Verdict) float64 {
	switch v {
	case health.VerdictMismatch:
		return 2
	case health.VerdictWatch:
		return 1
	}
	return 0
}

// verdicts are the health of what ran when it was judged last, as a metric. The label is bounded: the experiments that run,
// one a surface, and the holdouts; what has stopped leaves.
type verdicts struct {
	desc *prometheus.Desc
	mu   sync.Mutex
	now  map[string]float64
}

func newVerdicts() *verdicts {
	return &verdicts{desc: prometheus.NewDesc("juncture_experiment_health", "Whether a running experiment's numbers may be believed: 0 ok, 1 watch, 2 mismatch.", []string{"experiment"}, nil)}
}

func (v *verdicts) set(now map[string]float64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = now
}

// Describe tells Prometheus what comes.
func (v *verdicts) Describe(to chan<- *prometheus.Desc) { to <- v.desc }

// Collect gives Prometheus the metric.
func (v *verdicts) Collect(to chan<- prometheus.Metric) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, state := range v.now {
		to <- prometheus.MustNewConstMetric(v.desc, prometheus.GaugeValue, state, id)
	}
}
