// Package layers composes the four layers into the intersection of one shopper at one moment, and says of each how
// sure it is and why.
package layers
