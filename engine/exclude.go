package engine

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/juncture/juncture"
)

// Exclude takes a shopper who proved to be a bot, or staff, out of all that is learnt and reported, and returns once that
// is durable. They are served from then on as before, and never learnt from. Errors: CodeInvalidRequest (an impossible id
// or reason), CodeUnavailable.
func (e *Engine) Exclude(ctx context.Context, now time.Time, who Who, id, reason, why string) (*juncture.Exclusion, error) {
	if id == "" || utf8.RuneCountInString(id) > MaxID {
		return nil, invalid("id", "a shopper's id has 1 to %d characters", MaxID)
	}
	if reason != juncture.ExcludedBot && reason != juncture.ExcludedStaff {
		return nil, invalid("reason", "reason %.40q is bot or staff", reason)
	}
	if n := utf8.RuneCountInString(why); n == 0 || n > 500 {
		return nil, invalid("why", "why has %d characters, not 1 to 500", n)
	}
	x := &juncture.Exclusion{ID: id, Reason: reason, Why: why, At: now}
	if err := e.d.Ledger.Commit(ctx, &juncture.Entry{Exclusions: []*juncture.Exclusion{x}}); err != nil {
		return nil, err
	}
	e.forgetEverybody()
	if x.Already {
		return x, nil
	}
	return x, e.note(ctx, now, who, "exclude", "shopper "+x.Shopper, map[string]any{"reason": reason, "why": why, "trials": x.Trials, "units": x.Units})
}

// excluded says why the caller's shopper is none, "" where they are one.
func (p *parties) excluded() string { return or(p.known.Excluded, p.anonymous.Excluded) }
