package storetest

import (
	"testing"

	"github.com/juncture/juncture/store"
)

// Run holds a database to the contract. open gives a new, empty database, which is closed when the test ends.
func Run(t *testing.T, open func(t *testing.T) *store.DB) {
	for _, part := range []struct {
		name string
		run  func(t *testing.T, open func(t *testing.T) *store.DB)
	}{
		{"Catalog", catalog}, {"Secrets", secrets}, {"People", people}, {"Ledger", ledger}, {"Memos", memos}, {"Shoppers", shoppers},
		{"Writer", writer}, {"Outcomes", outcomes}, {"Checkpoint", checkpoint}, {"Export", export}, {"Events", events},
		{"Products", products}, {"Tastes", tastes}, {"Consents", consents}, {"Standings", standings}, {"Erasures", erasures}, {"Exports", exports},
		{"Identity", identity}, {"Units", units}, {"Settled", settled}, {"Watch", watch}, {"Logged", logged}, {"Serves", serves},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, open) })
	}
}
