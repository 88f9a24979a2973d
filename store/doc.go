// Package store keeps everything that must survive in one SQL database: the catalog, the ledger with its deltas and
// checkpoints, people and keys. One writer per node takes whatever is waiting into one transaction (group commit); a
// request is answered after its commit. The contract suite of store/storetest holds every database to the same
// behaviour. docs/design.md section 7 tells why.
package store
