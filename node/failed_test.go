package node

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/troupe-broker/troupe/actors/message"
)

// A disk actor that has failed ends the node: operators are told so once, by the log and by /readyz, Close says it too, and
// the next start has what was acknowledged.
func TestAFailedDiskEndsTheNode(t *testing.T) {
	defer goleak.VerifyNone(t)
	data, logs := t.TempDir(), &lines{}
	n, err := Start(configured(t, data), logs)
	if err != nil {
		t.Fatal(err)
	}
	produceOne(t, n.Kafka())
	n.stage.Send(message.DiskAt(n.config.ID), (*message.Commit)(nil)) // it panics over that
	select {
	case <-n.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("the node does not notice")
	}
	if code, why := readiness(t, n); code != http.StatusServiceUnavailable || why != "not ready: "+diskFailed+"\n" {
		t.Errorf("readyz: %d %s", code, why)
	}
	if err := n.Close(); err == nil || !strings.Contains(err.Error(), "the disk actor has failed") {
		t.Errorf("Close says %v", err)
	}
	if told := strings.Count(logs.String(), "level=ERROR msg=\""+diskFailed); told != 1 {
		t.Errorf("it was told %d times:\n%s", told, logs)
	}
	if n, err = Start(configured(t, data), io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := readOne(t, n.Kafka()); got != "hello" {
		t.Errorf("the next start has %q", got)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// An ordinary close is no failure.
func TestACloseIsNoFailure(t *testing.T) {
	logs := &lines{}
	n, err := Start(configured(t, t.TempDir()), logs)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil || n.hasFailed() || strings.Contains(logs.String(), "ERROR") {
		t.Errorf("%v, failed: %v\n%s", err, n.hasFailed(), logs)
	}
}

// lines is a log that several goroutines write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
