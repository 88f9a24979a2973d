// Package traffic tells people from what is not to be learnt from: agents that say what they are, listed addresses, rates
// that nobody has, and mail scanners that follow every link. It keeps nothing but short counts by hash, has no clock, and
// says why. What it flags is served and counted, and taught from never (statistics A.5, A.7).
//
// It is no part of intake, which decodes and forgets: the counters here remember, and the engine owns them.
package traffic
