package traffic

// generations keeps the values of the keys that were used last: up to two times most of them. Where the young are most,
// they become the old and the old are dropped, so that memory is bounded and a key in use stays.
type generations[K comparable, V any] struct {
	most       int
	young, old map[K]*V
}

// at finds or makes the value of a key.
func (g *generations[K, V]) at(k K) *V {
	if v := g.young[k]; v != nil {
		return v
	}
	v := g.old[k]
	if v == nil {
		v = new(V)
	} else {
		delete(g.old, k)
	}
	if g.young == nil {
		g.young = make(map[K]*V)
	}
	if len(g.young) >= g.most {
		g.old, g.young = g.young, make(map[K]*V)
	}
	g.young[k] = v
	return v
}

func (g *generations[K, V]) len() int { return len(g.young) + len(g.old) }
