package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/meaning"
)

// names are those of the taste clusters in use.
func (e *Engine) names() experiments.Names { return experiments.NamesOf(e.Clusters()) }

// Knowledge is what describing a shopper asks for beside their profile, as it is now.
func (l *Learned) Knowledge() layers.Knowledge { return l.knowledge() }

// Names are those of the taste clusters in use.
func (l *Learned) Names() experiments.Names { return experiments.NamesOf(clustersView(l.Model())) }

// ClusterNames is what a command beside the server calls the taste clusters.
func ClusterNames(ctx context.Context, store interface {
	Model(ctx context.Context) (juncture.TasteModel, error)
}) (experiments.Names, error) {
	row, err := store.Model(ctx)
	if err != nil || len(row.Body) == 0 {
		return nil, err
	}
	var m meaning.Model
	if err := json.Unmarshal(row.Body, &m); err != nil {
		return nil, fmt.Errorf("read taste clusters: %w", err)
	}
	return experiments.NamesOf(clustersView(&m, row.Version)), nil
}
