//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/juncture/juncture"
)

// LockWriter takes the advisory lock of the one process that may write a database's ledger: memory follows its own
// commits alone, so a second one would checkpoint over what the first has folded. The operating system lets go of it when
// the process ends, however it ends. Commands that only open the database do not take it. The error is CodeUnavailable
// where another process has it.
func LockWriter(path string) (io.Closer, error) {
	f, err := os.OpenFile(path+".writer", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the ledger: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		busy := juncture.Errorf(juncture.CodeUnavailable, "another process writes to %s", path).WithHint("one server owns a file: stop it first")
		return nil, errors.Join(busy, f.Close())
	}
	return f, nil
}
