// Package engine holds the use cases Choose, Activate and Reward, and the memory they decide from: the live pool, the
// tallies along the ladder, the cached probability vectors. It declares the narrow ports that it needs; the store
// fulfils them.
package engine
