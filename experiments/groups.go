package experiments

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/juncture/juncture"
)

// Assign says whether a shopper is in an experiment, and in which group, with the group's share at the time of asking.
// It is stable: the same salt, experiment and shopper always give the same answer. Independent keyed hashes decide, one
// against the slice of the namespace, one against Traffic and one against the shares, so raising traffic lets more shoppers
// in and moves nobody who is. Experiments are independent of each other, because the id is hashed too; those of one
// namespace hash its name, and share no shopper where their slices are apart.
//
// shopper is the profile's first-seen id (design, section 12). When in is false, group is GroupNone and share 0. Who is
// enrolled already stays in the group that is kept (juncture.Enrolment).
func Assign(salt []byte, e juncture.Experiment, shopper string) (group juncture.Group, share float64, in bool) {
	if e.Slice != nil {
		if u := uniform(salt, "namespace", e.Namespace, shopper); u < e.Slice.From || u >= e.Slice.To {
			return juncture.GroupNone, 0, false
		}
	}
	if uniform(salt, "traffic", e.ID, shopper) >= e.TrafficShare() {
		return juncture.GroupNone, 0, false
	}
	group = e.Groups.Pick(uniform(salt, "group", e.ID, shopper))
	return group, e.Groups.Share(group), true
}

// Withheld says whether a holdout has a shopper: GroupHoldout, else GroupPolicy, with the group's share.
func Withheld(salt []byte, h juncture.Holdout, shopper string) (group juncture.Group, share float64) {
	if uniform(salt, "holdout", h.ID, shopper) < h.Share {
		return juncture.GroupHoldout, h.Share
	}
	return juncture.GroupPolicy, 1 - h.Share
}

// uniform is HMAC-SHA-256 of the length-prefixed parts as a number in [0, 1): its first 53 bits, all that a float64
// holds exactly.
func uniform(salt []byte, parts ...string) float64 {
	b := make([]byte, 0, 128)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	m := hmac.New(sha256.New, salt)
	m.Write(b)
	return float64(binary.BigEndian.Uint64(m.Sum(b[:0]))>>11) / (1 << 53)
}
