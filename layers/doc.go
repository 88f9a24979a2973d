// Package layers composes the four layers into the intersection of one shopper at one moment, and says of each how
// sure it is and why.
//
// A Profile is what the events of a shopper fold into; Describe reads the derived layers from it at a time. Compose takes
// the layers that a caller sends instead.
package layers
