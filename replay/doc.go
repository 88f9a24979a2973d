// Package replay evaluates the engine on a logged, randomised data set by rejection replay (Li, Chu, Langford, Wang 2011,
// "Unbiased offline evaluation of contextual-bandit-based news article recommendation algorithms"): each logged row is put
// to the engine as it comes; where the engine would have shown what the log shows, the row's reward is learnt and counts,
// every other row is dropped as if it had never been. Over a log whose arms were drawn uniformly, the mean reward of the
// rows that count estimates what the learning policy would have earned.
//
// The engine is driven through a narrow port, in the process or over HTTP, in the same batches and at the same simulated
// times, so that both give the same.
package replay
