// Package evaluate walks a log of decisions and says what other policies would have earned on it: a ceiling on what is
// known of a shopper, only some of the actions, the best single arm, chance. Models and policies are made as the walk goes,
// from what was known before each decision. No clock, no randomness, no store.
package evaluate
