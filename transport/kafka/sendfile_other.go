//go:build !linux

package kafka

import (
	"errors"

	"github.com/troupe-broker/troupe/persistence/vfs"
)

// sendFile is done by copying here.
func (o *output) sendFile(vfs.Sender, int64, int) (sent int, err error) {
	return 0, errors.ErrUnsupported
}
