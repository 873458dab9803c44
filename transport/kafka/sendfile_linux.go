package kafka

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/troupe-broker/troupe/persistence/vfs"
)

// sendFile has the kernel move a range of a file into the socket, and says how much of it went. The error is
// errors.ErrUnsupported where the kernel cannot.
func (o *output) sendFile(file vfs.Sender, at int64, bytes int) (sent int, err error) {
	err = file.Fd(func(from uintptr) error {
		for sent < bytes {
			if err := o.patience(); err != nil {
				return err
			}
			n, err := o.sendOnce(int(from), at+int64(sent), bytes-sent)
			if sent += n; err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("a log file ends %d bytes too early: %w", bytes-sent, io.ErrUnexpectedEOF)
			}
		}
		return nil
	})
	return sent, err
}

// sendOnce waits until the socket takes something.
func (o *output) sendOnce(from int, at int64, bytes int) (n int, err error) {
	wait := o.raw.Write(func(to uintptr) bool {
		n, err = syscall.Sendfile(int(to), from, &at, bytes)
		return !errors.Is(err, syscall.EAGAIN)
	})
	switch {
	case wait != nil:
		return 0, wait
	case err == syscall.EINTR:
		return o.sendOnce(from, at, bytes)
	case err == syscall.EINVAL || err == syscall.ENOSYS:
		return 0, errors.ErrUnsupported
	}
	return max(n, 0), err
}
