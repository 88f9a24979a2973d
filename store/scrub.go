package store

import (
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
)

// scrub empties the write-ahead log after an erasure: pages as they were before it stand there until then. A reader that
// began before is waited for, not the writer: it is tried again later.
type scrub struct {
	due   <-chan time.Time // nil: nothing to do
	pause time.Duration
}

const (
	scrubFirst = 20 * time.Millisecond
	scrubMost  = 30 * time.Second
	scrubWait  = 50             // ms that one attempt may keep the writer waiting for readers
	scrubLast  = 10 * scrubWait // ms, when the writer stops
)

// want has the log emptied soon.
func (s *scrub) want() { s.pause, s.due = scrubFirst, time.After(0) }

// try empties the log, or has it tried again after a pause that grows.
func (s *scrub) try(db *sqlx.DB) {
	if truncate(db, scrubWait) {
		s.due = nil
		return
	}
	s.due = time.After(s.pause)
	s.pause = min(2*s.pause, scrubMost)
}

// last tries once more where it is still to be done. What it leaves is done when the file is closed by its last
// process, or by the next writer.
func (s *scrub) last(db *sqlx.DB) {
	if s.due != nil {
		truncate(db, scrubLast)
	}
}

// truncate reports whether the log is empty now.
func truncate(db *sqlx.DB, wait int) bool {
	var before, busy, frames, moved int
	if db.Get(&before, `PRAGMA busy_timeout`) != nil {
		return false
	}
	set := func(ms int) bool { return db.Get(new(int), `PRAGMA busy_timeout = `+strconv.Itoa(ms)) == nil }
	defer set(before)
	if !set(wait) {
		return false
	}
	return db.QueryRow(`PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved) == nil && busy == 0
}
