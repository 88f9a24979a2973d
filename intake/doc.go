// Package intake decodes what comes from outside: the JSON bodies of requests and the store file. It says what is
// wrong with them in the sender's own words: the field or the line, and what to write instead.
//
// It knows no HTTP, no clock and no store. Errors are *juncture.Error, or *FileError for a store file.
package intake
