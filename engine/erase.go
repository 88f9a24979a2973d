package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"
	"unicode/utf8"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
)

// What stands for a shopper who was erased: the prefix and random bytes in hex.
const (
	erasedPrefix = "erased-"
	erasedBytes  = 12
)

// Erase deletes what is known of the shopper behind an id: events, profile, consent, aliases. Decisions stay, under a
// random id, since tallies are their fold, and of who denied consent the denial, under a keyed hash. It returns once that is durable. The error is CodeInvalidRequest for an
// impossible id, CodeNotFound where nothing was known.
func (e *Engine) Erase(ctx context.Context, now time.Time, who Who, id string) (*juncture.Erasure, error) {
	if id == "" || utf8.RuneCountInString(id) > MaxID {
		return nil, invalid("id", "a shopper's id has 1 to %d characters", MaxID)
	}
	var b [erasedBytes]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, err
	}
	x := &juncture.Erasure{ID: id, Replacement: erasedPrefix + hex.EncodeToString(b[:])}
	if err := e.d.Ledger.Commit(ctx, &juncture.Entry{Erasures: []*juncture.Erasure{x}}); err != nil {
		return nil, err
	}
	e.forgetEverybody()
	e.memos.Purge() // answers hold what was recommended to them
	if x.Events+x.Decisions == 0 && len(x.IDs) <= 1 {
		return nil, juncture.Errorf(juncture.CodeNotFound, "nothing was known of %.80q", id)
	}
	return x, e.note(ctx, now, who, "erase", "shopper", map[string]int64{"events": x.Events, "decisions": x.Decisions}) // not whom
}

// Sweep finds the shoppers whom time alone has moved since their profile was written, and has them written with where
// they stand now, by write whenever more wait than memory is meant to cache: after a refit everybody may have moved. It
// returns how many it looked at and how many had moved.
func (p *Profiles) Sweep(ctx context.Context, store LearnedStore, now time.Time, write func(context.Context) (int, error)) (looked, moved int, err error) {
	const chunk = 500
	for last := ""; ; {
		rows, err := store.EachProfile(ctx, last, chunk)
		if err != nil {
			return looked, moved, err
		}
		p.mu.Lock()
		set, k := p.described()
		p.mu.Unlock()
		for _, r := range rows {
			last = r.Shopper
			looked++
			var f layers.Profile
			if f.UnmarshalBinary(r.Body) != nil {
				p.unreadable.Add(1)
				continue
			}
			if s, _ := layers.Stand(&f, r.Standing, now, set, k); !layers.Moved(s, r.Standing) {
				continue
			}
			moved++
			if err := p.touch(ctx, r.Shopper); err != nil {
				return looked, moved, err
			}
		}
		if p.CrowdedProfiles() {
			if _, err := write(ctx); err != nil {
				return looked, moved, err
			}
		}
		if len(rows) < chunk || ctx.Err() != nil {
			return looked, moved, ctx.Err()
		}
	}
}

// touch has a profile written again.
func (p *Profiles) touch(ctx context.Context, shopper string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.get(ctx, shopper)
	if err == nil && len(f.marks) > 0 && !f.gone {
		p.touched(shopper, f)
	}
	return err
}
