// Package catalogue is the fourth layer: what can be surfaced. The key takes the shopper's focus category; categories are
// the store's own, so the layer has no fixed vocabulary.
package catalogue
