// Package migrations holds the schema as embedded, forward-only goose files, one transaction each. A file that only one
// database understands ends in .sqlite.sql or .postgres.sql.
package migrations

import "embed"

// Files are the migrations, named NNNNN_what.sql.
//
//go:embed *.sql
var Files embed.FS
