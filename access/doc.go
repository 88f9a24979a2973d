// Package access says who may do what: API keys with scopes, console users with roles, and their sessions.
//
// Nothing secret is kept: of keys and sessions a SHA-256, of passwords an argon2id hash. Time and randomness are
// arguments; rows live behind the ports UserStore and SessionStore.
package access
