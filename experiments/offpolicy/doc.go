// Package offpolicy says what a policy would have earned on a log that another policy wrote: estimators over rows of
// weights, rewards and a model's predictions, with their intervals, and with a reason where the log cannot tell. One
// pass, bounded memory, no clock and no randomness.
package offpolicy
