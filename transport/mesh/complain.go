package mesh

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// complaintsApart is how far apart complaints about the same are logged: who sends rubbish shall not fill the log.
const complaintsApart = time.Minute

// complaints counts what is wrong and says when it is to be logged.
type complaints struct {
	count  atomic.Uint64
	logged atomic.Int64 // nanoseconds since 1970
}

// due counts one more; it is true once a minute.
func (c *complaints) due(now time.Time) bool {
	c.count.Add(1)
	last := c.logged.Load()
	return now.UnixNano()-last >= int64(complaintsApart) && c.logged.CompareAndSwap(last, now.UnixNano())
}

// natsLog lets the embedded server speak through the node's logger. It retries whatever fails, each second, so its errors are throttled.
type natsLog struct {
	log    *slog.Logger
	errors complaints
}

// Noticef is for debugging here: what NATS finds notable is its own life cycle.
func (l *natsLog) Noticef(format string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(format, v...)) }

// Warnf is throttled together with errors.
func (l *natsLog) Warnf(format string, v ...any) { l.Errorf(format, v...) }

// Fatalf does not end the process: what fails is seen by start, and that there is no client listener is meant.
func (l *natsLog) Fatalf(format string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(format, v...)) }

// Errorf logs once a minute.
func (l *natsLog) Errorf(format string, v ...any) {
	if l.errors.due(time.Now()) {
		l.log.Warn("nats: "+fmt.Sprintf(format, v...), "complaints", l.errors.count.Load())
	}
}

// Debugf is silent, and not asked for.
func (l *natsLog) Debugf(string, ...any) {}

// Tracef is silent, and not asked for.
func (l *natsLog) Tracef(string, ...any) {}
