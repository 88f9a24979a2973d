package access

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// Share is a link that shows one page of the console, read-only and without sign-in. Whoever holds the token holds the
// page: it is 32 random bytes, so that there is nothing to guess, and the store keeps only its hash.
type Share struct {
	ID        string // 12 of [a-z2-7]
	Hash      []byte // SHA-256 of the token's 32 bytes
	Path      string // of the page, with its query
	MadeBy    string // actor
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt time.Time // zero: live
}

// Life of a link.
const (
	ShareDays    = 7 // default
	MaxShareDays = 30
)

// maxSharePath bounds a page's path with its query, in bytes.
const maxSharePath = 1024

// sharePages are the pages that may be shared: none shows anything of a single shopper. A trailing slash takes one part
// below.
func sharePages() []string {
	return []string{"/console/intersections", "/console/intersection", "/console/experiments/"}
}

// Shareable reports whether a page may be shared; path is with its query.
func Shareable(path string) bool {
	u, err := url.ParseRequestURI(path)
	if err != nil || u.Host != "" || u.Scheme != "" || len(path) > maxSharePath || u.RawPath != "" {
		return false
	}
	for _, p := range sharePages() {
		below, ok := strings.CutPrefix(u.Path, p)
		if ok && (below == "" && !strings.HasSuffix(p, "/") || strings.HasSuffix(p, "/") && juncture.ValidName(below)) {
			return true
		}
	}
	return false
}

// NewShare makes a link for so many days (0: ShareDays) and its token, which can be shown this once. The error is
// CodeInvalidRequest with Field path or days; CodeInternal when rand fails.
func NewShare(path string, days int, by string, now time.Time, rand io.Reader) (Share, string, error) {
	if !Shareable(path) {
		return Share{}, "", invalid("path", fmt.Sprintf("%.80q cannot be shared", path), "the grid, one intersection or an experiment's page, as its address says")
	}
	if days == 0 {
		days = ShareDays
	}
	if days < 1 || days > MaxShareDays {
		return Share{}, "", invalid("days", fmt.Sprintf("%d days; a link holds 1 to %d", days, MaxShareDays), "")
	}
	id := make([]byte, 8)
	if _, err := io.ReadFull(rand, id); err != nil {
		return Share{}, "", noRandom(err)
	}
	token, hash, err := newToken(rand)
	if err != nil {
		return Share{}, "", err
	}
	now = now.UTC().Truncate(time.Millisecond)
	return Share{ID: idEncoding.EncodeToString(id)[:keyIDSize], Hash: hash, Path: path, MadeBy: by, CreatedAt: now,
		ExpiresAt: now.Add(time.Duration(days) * 24 * time.Hour)}, token, nil
}

// ShareStore keeps links.
type ShareStore interface {
	CreateShare(ctx context.Context, s Share, note juncture.AuditNote) error
	// ShareByHash returns CodeNotFound where there is none.
	ShareByHash(ctx context.Context, hash []byte) (Share, error)
	// Shares returns all, newest first.
	Shares(ctx context.Context) ([]Share, error)
	// RevokeShare returns CodeNotFound where no live link has the id.
	RevokeShare(ctx context.Context, id string, now time.Time, note juncture.AuditNote) error
}
