package audit

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/juncture/juncture"
)

// Source is where the log is read.
type Source interface {
	Audit(ctx context.Context) iter.Seq2[Entry, error]
	AuditHead(ctx context.Context) (Head, error)
	// AuditFound yields what a query asks for, newest first.
	AuditFound(ctx context.Context, q Query) iter.Seq2[Entry, error]
	// AuditNames returns the actors and actions that there are, at most limit of each.
	AuditNames(ctx context.Context, limit int) (actors, actions []string, err error)
}

// Log reads the log and remembers when it last proved whole. It is safe for concurrent use.
type Log struct {
	Source
	now func() time.Time

	mu   sync.Mutex // held while it is proved: one walk at a time
	last *juncture.AuditProof
}

// NewLog takes its source and a clock.
func NewLog(s Source, now func() time.Time) *Log { return &Log{Source: s, now: now} }

// Prove walks the whole log where the last proof is older than a time; 0 always walks. The error is one of reading: a
// log that does not hold is an answer.
func (l *Log) Prove(ctx context.Context, older time.Duration) (juncture.AuditProof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.last != nil && older > 0 && now.Sub(l.last.At) < older {
		return *l.last, nil
	}
	head, err := l.AuditHead(ctx)
	if err != nil {
		return juncture.AuditProof{}, err
	}
	n, last, err := VerifyTo(head, l.Audit(ctx))
	p := juncture.AuditProof{Holds: err == nil, Entries: n, Hash: hex.EncodeToString(last.Hash), At: now.UTC().Truncate(time.Millisecond)}
	if broken, ok := errors.AsType[*BrokenError](err); ok {
		p.What, p.Hash = broken.Error(), ""
	} else if err != nil {
		return juncture.AuditProof{}, err
	}
	l.last = &p
	return p, nil
}

// View is the entry as the API gives it.
func (e Entry) View() juncture.AuditView {
	v := juncture.AuditView{Seq: e.Seq, At: e.At, Actor: e.Actor, Action: e.Action, Subject: e.Subject, From: e.From, Hash: hex.EncodeToString(e.Hash)}
	v.Before, v.After = shown(e.Before), shown(e.After)
	return v
}

// shown is JSON as it stands, and what is none as text.
func shown(b []byte) any {
	switch {
	case len(b) == 0:
		return nil
	case json.Valid(b):
		return json.RawMessage(b)
	}
	return string(b)
}
