package experiments

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// madeMost bounds the read-outs that are kept with one evidence.
const madeMost = 16

// Made keeps the grids and segments that were made of one evidence, so that many who ask the same have it made once. What
// comes after the first 16 questions is made for each who asks. It is safe for concurrent use; nil keeps nothing.
type Made struct {
	mu  sync.Mutex
	all map[string]*madeOne
}

type madeOne struct {
	once sync.Once
	v    any
	err  error
}

// NewMade makes an empty one.
func NewMade() *Made { return &Made{all: map[string]*madeOne{}} }

// madeBy returns what f makes, or made for the same question before.
func madeBy[V any](m *Made, question string, f func() (V, error)) (V, error) {
	if m == nil {
		return f()
	}
	m.mu.Lock()
	one, ok := m.all[question]
	if !ok && len(m.all) < madeMost {
		one = &madeOne{}
		m.all[question] = one
	}
	m.mu.Unlock()
	if one == nil {
		return f()
	}
	one.once.Do(func() { one.v, one.err = f() })
	v, _ := one.v.(V)
	return v, one.err
}

// asked writes a question: its parts, and a filter in order.
func asked(filter map[string]string, most int, parts ...string) string {
	for _, axis := range slices.Sorted(maps.Keys(filter)) {
		parts = append(parts, axis+"="+filter[axis])
	}
	parts = append(parts, strconv.Itoa(most))
	for i := range parts {
		parts[i] = strconv.Quote(parts[i])
	}
	return strings.Join(parts, " ")
}
