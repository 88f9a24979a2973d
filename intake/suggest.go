package intake

import (
	"fmt"
	"strings"
)

// nearest returns the known name that was probably meant, "" for none: the same but for case, or up to two edits away
// (one for names shorter than five).
func nearest(name string, known []string) string {
	best, bestCost := "", 3
	if len(name) < 5 {
		bestCost = 2
	}
	if len(name) > 64 {
		return ""
	}
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return k
		}
		if cost := edits(strings.ToLower(name), strings.ToLower(k)); cost < bestCost {
			best, bestCost = k, cost
		}
	}
	return best
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// unknownField words the refusal of a field: the message and the hint.
func unknownField(name string, known []string) (message, hint string) {
	message = fmt.Sprintf("unknown field %.40q", name)
	if near := nearest(name, known); near != "" {
		return message, fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return message, ""
	}
	return message, "one of " + strings.Join(known, ", ")
}
