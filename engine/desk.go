package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/meaning"
)

// Who changes what is learnt: for the audit log.
type Who struct {
	Actor string // a key, a user
	From  string // where: api, console, cli
}

// note records a change.
func (e *Engine) note(ctx context.Context, now time.Time, who Who, action, subject string, after any) error {
	b, err := json.Marshal(after)
	if err != nil {
		return err
	}
	return e.d.Notes.Note(ctx, juncture.AuditNote{At: now, Actor: who.Actor, Action: action, Subject: subject, From: who.From, After: b})
}

// Clusters returns the taste clusters in use.
func (e *Engine) Clusters() juncture.ClustersView {
	if e.d.Learned == nil {
		return clustersView(nil, 0)
	}
	return clustersView(e.d.Learned.Model())
}

func clustersView(m *meaning.Model, version int64) juncture.ClustersView {
	v := juncture.ClustersView{Items: []juncture.ClusterView{}}
	if m == nil {
		return v
	}
	v.Version, v.Shoppers = version, m.Shoppers
	for _, c := range m.Clusters {
		v.Items = append(v.Items, juncture.ClusterView{ID: c.ID, Name: c.Name, Renamed: c.Renamed, Size: c.Size, Top: listed(c.Top),
			Voice: juncture.VoiceView{Tone: c.Voice.Tone, Use: listed(c.Voice.Use), Avoid: listed(c.Voice.Avoid)}})
	}
	return v
}

func listed(v []string) []string {
	if v == nil {
		return []string{}
	}
	return v
}

// Bounds of a voice.
const (
	maxVoiceText  = 500
	maxVoiceWords = 50
)

// ChangeCluster renames a cluster or sets its voice. The errors are those of Learned.Rename.
func (e *Engine) ChangeCluster(ctx context.Context, now time.Time, who Who, id string, c juncture.ClusterChange) error {
	var voice *meaning.Voice
	if v := c.Voice; v != nil {
		if len(v.Tone) > maxVoiceText || len(v.Use) > maxVoiceWords || len(v.Avoid) > maxVoiceWords {
			return invalid("voice", "a tone has at most %d bytes, use and avoid at most %d words each", maxVoiceText, maxVoiceWords)
		}
		voice = &meaning.Voice{Tone: v.Tone, Use: v.Use, Avoid: v.Avoid}
	}
	if e.d.Learned == nil {
		return juncture.Errorf(juncture.CodeNotFound, "no taste clusters have been learnt yet")
	}
	if err := e.d.Learned.Rename(ctx, now, who.Actor, id, c.Name, voice); err != nil {
		return err
	}
	return e.note(ctx, now, who, "change", "cluster "+id, c)
}

// Refit learns the taste clusters again. The error is CodeInvalidRequest under 50 shoppers with a taste.
func (e *Engine) Refit(ctx context.Context, now time.Time, who Who) (juncture.RefitView, error) {
	st, err := e.state(ctx)
	if err != nil {
		return juncture.RefitView{}, err
	}
	k := st.pool.Declaration.Layers[juncture.Meaning.String()].Clusters
	r, err := e.d.Learned.Refit(ctx, now, who.Actor, k, st.layers)
	if err == ErrTooFewTastes {
		return juncture.RefitView{}, juncture.Errorf(juncture.CodeInvalidRequest, "%d shoppers with a taste: clusters need %d", r.Shoppers, minTastes).
			WithHint("import products and events first: a taste is of products that the catalogue knows")
	}
	if err != nil {
		return juncture.RefitView{}, err
	}
	v := juncture.RefitView{Version: r.Version, Clusters: r.Clusters, Shoppers: r.Shoppers, Moved: r.Moved, Of: r.Of,
		Kept: len(r.Matching.Kept), New: listed(r.Matching.New), Retired: listed(r.Matching.Retired), Skipped: r.Skipped}
	return v, e.note(ctx, now, who, "refit", "taste clusters", v)
}

// PutProducts adds products or replaces those of the same id, and has calls know them at once. It returns how many were
// new or different.
func (e *Engine) PutProducts(ctx context.Context, now time.Time, products []juncture.Product) (changed int, err error) {
	if changed, err = e.d.Learned.store.PutProducts(ctx, products, now); err != nil {
		return changed, err
	}
	_, err = e.d.Learned.Refresh(ctx)
	return changed, err
}
