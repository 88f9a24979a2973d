package catalogue

import (
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// PickEditorial returns the at most n pieces that suit a shopper best, of equals those declared first: written for a
// cluster of the shopper's, the nearest first, then about the category (a slug), then about nothing in particular. A piece for other clusters, about
// another category or expired is never among them.
func PickEditorial(pieces []juncture.Editorial, n int, category string, clusters []Share, now time.Time) []juncture.Editorial {
	type scored struct {
		piece juncture.Editorial
		score float64
	}
	var found []scored
	for _, e := range pieces {
		if n <= 0 || e.Expires != nil && !now.Before(*e.Expires) {
			continue
		}
		s := scored{piece: e}
		if len(e.Meaning) > 0 {
			for _, c := range clusters {
				if slices.Contains(e.Meaning, c.Cluster) {
					s.score = max(s.score, 1+c.Weight)
				}
			}
			if s.score == 0 {
				continue
			}
		}
		if e.Category != "" {
			if Slug(e.Category) != category {
				continue
			}
			s.score++
		}
		found = append(found, s)
	}
	slices.SortStableFunc(found, func(a, b scored) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	out := make([]juncture.Editorial, 0, min(n, len(found)))
	for _, s := range found[:min(n, len(found))] {
		out = append(out, s.piece)
	}
	return out
}
