// Package meaning is the second layer: taste clusters, learnt from the store's own products and events. Until they are
// learnt here a caller sends them; their values are the store's own, so the layer has no fixed vocabulary.
package meaning
