package juncture

// The ledger's side of the engine: what a request asks to have written, and what it is told. An Entry is committed
// whole or not at all; results are valid after the commit.

// Entry is what one request writes.
type Entry struct {
	Decisions   []*DecisionWrite
	Activations []*ActivationWrite
	Outcomes    []*OutcomeWrite
	Values      []LayerValue // request-layer values seen for the first time
	Aliases     []Alias
	Memos       []Memo // of answers that were decided before
}

// DecisionWrite appends a decision. With a Memo whose id is taken, nothing is written and Recalled is the earlier memo.
type DecisionWrite struct {
	Decision   Decision
	SigningKey uint8
	Memos      []Memo

	Recalled *Memo // result
}

// Memo is an answer to be given again.
type Memo struct {
	ID      [16]byte
	Body    [16]byte // hash of the request that it answers; zero for a sticky answer
	Answer  []byte
	Expires int64 // Unix ms
	Replace bool  // take the place of an earlier one
}

// ActivationWrite makes a decision a trial.
type ActivationWrite struct {
	Claims     Claims
	Activation Activation
	Types      []OutcomeType // of the store
	Currency   string

	Duplicate bool  // result: it was one already; nothing changed
	Err       error // result: why it was refused; nothing changed
	Stands    Activation
}

// OutcomeWrite appends an outcome.
type OutcomeWrite struct {
	Claims   Claims
	Outcome  Outcome
	Whole    bool // an adjustment of all that is left
	Type     OutcomeType
	Currency string

	Result Outcome // result: with its status
	Delta  Delta   // result: what it added
	Err    error   // result: why it was refused; nothing changed
}

// LayerValue is a value of a request layer.
type LayerValue struct {
	Layer Layer
	Value string
}

// Alias says that an id belongs to the shopper whose first-seen id is Shopper.
type Alias struct {
	ID      string
	Shopper string
}
