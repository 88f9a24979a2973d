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

// lockNode takes the advisory lock of a node's stream: two processes that write as one node would give the same numbers
// twice. The operating system lets go of it when the process ends, however it ends. Commands that only open the database
// do not take it.
func lockNode(path string, node uint16) (io.Closer, error) {
	f, err := os.OpenFile(fmt.Sprintf("%s.node%d", path, node), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock node %d: %w", node, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		busy := juncture.Errorf(juncture.CodeUnavailable, "another process writes to %s as node %d", path, node).
			WithHint("stop it, or give this one another --node")
		return nil, errors.Join(busy, f.Close())
	}
	return f, nil
}
