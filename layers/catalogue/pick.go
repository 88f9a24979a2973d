package catalogue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/juncture/juncture"
)

// ranked is a pick before its reason is spelled out.
type ranked struct {
	Pick
	by string
}

// picker takes candidates, the best first, until no other can come among the first slots.
type picker struct {
	shelf    *Shelf
	request  *Request
	category string
	excluded map[Key]bool
	live     []juncture.Priority
	seen     map[string]bool
	picks    []ranked // the best, in order, at most slots
	slots    int
}

// pick applies the priorities, and takes the best that may be surfaced.
func (s *Shelf) pick(slots int, candidates []candidate, r Request, category string, excluded map[Key]bool) []Pick {
	if slots <= 0 {
		return nil
	}
	k := picker{shelf: s, request: &r, category: category, excluded: excluded, seen: map[string]bool{}, slots: slots}
	most := 0.0
	for _, p := range r.Priorities {
		if p.Action == "" && p.Weight > 0 && p.Live(r.Now) {
			k.live = append(k.live, p)
			most = max(most, min(p.Weight, 1))
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.id, b.id)) })
	for _, c := range candidates {
		if len(k.picks) == slots && float64(c.score)*(1+s.set.Nudge*most) < k.picks[slots-1].Score {
			break
		}
		k.consider(s.names[c.id], float64(c.score), c.source, c.by)
	}
	if r.Only == nil || slices.Contains(r.Only, FromPriority) {
		top := 1.0
		if len(candidates) > 0 {
			top = float64(candidates[0].score)
		}
		for _, p := range k.live {
			for _, id := range p.Products {
				k.consider(id, top, FromPriority, "")
			}
		}
	}
	out := make([]Pick, 0, len(k.picks))
	for _, p := range k.picks {
		if p.Source != FromPriority {
			p.Why = s.why(p.Source, p.by)
		}
		out = append(out, p.Pick)
	}
	return out
}

// consider takes a product among the best when it may be surfaced. The score of one that only a priority names is
// Nudge times the priority's weight of the best candidate's.
func (k *picker) consider(id string, score float64, source Source, by string) {
	if k.seen[id] || k.excluded[KeyOf(id)] {
		return
	}
	k.seen[id] = true
	p, _ := k.shelf.index.Get(id)
	if !Available(p) || k.request.Within && Slug(p.Category) != k.category {
		return
	}
	pick := ranked{Pick{ID: id, Source: source}, by}
	nudge := 0.0
	for i := range k.live {
		if w := min(k.live[i].Weight, 1); w > nudge && covers(&k.live[i], id, p) {
			nudge, pick.Priority = w, k.live[i].ID
			if source == FromPriority {
				pick.Why = cmp.Or(k.live[i].Why, "a merchandiser's priority")
			}
		}
	}
	pick.Score = score * (1 + k.shelf.set.Nudge*nudge)
	if source == FromPriority {
		pick.Score = score * k.shelf.set.Nudge * nudge
	}
	at, _ := slices.BinarySearchFunc(k.picks, pick, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.ID, b.ID))
	})
	if at < k.slots {
		if len(k.picks) == k.slots {
			k.picks = k.picks[:k.slots-1]
		}
		k.picks = slices.Insert(k.picks, at, pick)
	}
}

// covers reports whether a priority is about a product.
func covers(p *juncture.Priority, id string, product *juncture.Product) bool {
	return p.Category != "" && product != nil && Slug(p.Category) == Slug(product.Category) || slices.Contains(p.Products, id)
}

// why says where a pick comes from.
func (s *Shelf) why(source Source, by string) string {
	if p, ok := s.index.Get(by); ok && p.Title != "" {
		by = p.Title
	}
	switch source {
	case FromBag:
		return fmt.Sprintf("bought together with %s", by)
	case FromViewed:
		return fmt.Sprintf("viewed by others who viewed %s", by)
	case FromBought:
		return fmt.Sprintf("bought by others who bought %s", by)
	case FromCluster:
		return fmt.Sprintf("liked by shoppers of %s", by)
	case FromCategory:
		return fmt.Sprintf("trending in %s", by)
	default:
		return "trending in the store"
	}
}
