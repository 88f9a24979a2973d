// Package storetest is the contract that every database of a store keeps. A bug found on one becomes a case for all.
package storetest
