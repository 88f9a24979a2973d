package traffic

import (
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// ScannerSettings say when clicks are a mail scanner's.
type ScannerSettings struct {
	Within time.Duration // of delivery; 0: 10 s
	Links  int           // different links of one decision, or of one shopper's, 2 to 16; 0: 2
	Most   int           // decisions and shoppers remembered, each twice; 0: 50,000
}

// MailScanner finds programs that follow every link of a mail as it is delivered: clicks on several different links within
// seconds of delivery, of one decision or of several decisions of one shopper, whose mail may hold many. One link alone is
// no proof: people click too. Not safe for concurrent use: one owner.
type MailScanner struct {
	set       ScannerSettings
	seed      maphash.Seed
	decisions generations[uint64, []uint64]
	shoppers  generations[uint64, []quick]
}

// quick is a click soon after delivery: what was clicked, and when.
type quick struct {
	link uint64
	at   int64 // ms
}

// NewMailScanner makes one that tells links and shoppers apart by a hash under seed. Errors: CodeInvalidRequest for
// settings that are none.
func NewMailScanner(set ScannerSettings, seed maphash.Seed) (*MailScanner, error) {
	if set.Within == 0 {
		set.Within = 10 * time.Second
	}
	if set.Links == 0 {
		set.Links = 2
	}
	if set.Most == 0 {
		set.Most = 50_000
	}
	if set.Within < 0 || set.Within > 5*time.Minute || set.Links < 2 || set.Links > 16 || set.Most < 1 || set.Most > 1<<24 {
		return nil, juncture.Errorf(juncture.CodeInvalidRequest, "%d links within %v: 2 to 16, within 5 minutes", set.Links, set.Within)
	}
	return &MailScanner{set: set, seed: seed, decisions: generations[uint64, []uint64]{most: set.Most},
		shoppers: generations[uint64, []quick]{most: set.Most}}, nil
}

// Click folds a click on a link of a decision, delivered (activated) at a time, and says why when it and the clicks before
// are a scanner's. The flag is the shopper's: it takes back all of theirs, in every group (statistics A.7), since a mail
// with more links is found out sooner and the arm must not decide who is kept. shopper may be empty. A click before its
// delivery is a program's too: the clock of delivery may lag, so it counts as at once.
func (m *MailScanner) Click(decision uint64, shopper, link string, delivered, at time.Time) (why string, scanner bool) {
	if at.Sub(delivered) > m.set.Within {
		return "", false
	}
	l := maphash.String(m.seed, link)
	links := m.decisions.at(decision)
	if !slices.Contains(*links, l) && len(*links) < m.set.Links {
		*links = append(*links, l)
	}
	if len(*links) >= m.set.Links {
		return fmt.Sprintf("clicks on %d links of one mail within %v of its delivery", m.set.Links, m.set.Within), true
	}
	if shopper == "" {
		return "", false
	}
	quicks := m.shoppers.at(maphash.String(m.seed, shopper))
	now := at.UnixMilli()
	key := l ^ decision*0x9e3779b97f4a7c15 // the same link in two decisions is two
	kept := (*quicks)[:0]
	for _, q := range *quicks {
		if now-q.at <= m.set.Within.Milliseconds() && q.link != key {
			kept = append(kept, q)
		}
	}
	if len(kept) < m.set.Links {
		kept = append(kept, quick{key, now})
	}
	*quicks = kept
	if len(kept) >= m.set.Links {
		return fmt.Sprintf("clicks on %d links within %v of their delivery", m.set.Links, m.set.Within), true
	}
	return "", false
}
