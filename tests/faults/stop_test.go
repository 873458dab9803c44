package faults

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/tests/broker"
)

const stopTopic = "stops"

// TestTheFirstSignalStopsCleanly ends a broker that has a few MiB in its logs with SIGTERM and with an interrupt: the exit
// code is 0, and neither the next start nor its first clients make it read them again. It reads the last batch of each log,
// and the newest file of the journal, which is small here.
func TestTheFirstSignalStopsCleanly(t *testing.T) {
	broker.Need(t, runtime.GOOS != "linux", "what a process reads is known from /proc: run the test on Linux")
	b := broker.New(t, t.TempDir(), "--set", "journal.file.bytes=65536", "--set", "journal.files=2")
	b.Start()
	b.CreateTopic(t, stopTopic, 4, nil)
	const each = 256
	for i, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		before := b.BytesRead()
		writeLarge(t, b, each)
		if grown := b.BytesRead() - before; grown < each*largeBytes { // or the bound below says nothing
			t.Fatalf("the broker has read %d bytes while it was sent %d", grown, each*largeBytes)
		}
		b.Signal(signal)
		if code := b.Wait(); code != 0 {
			t.Fatalf("%v: exit code %d", signal, code)
		}
		b.Start()
		writeLarge(t, b, 0)
		if n := b.BytesRead(); n > each*largeBytes/8 {
			t.Errorf("%v: the next start and one small record per partition read %d bytes of %d", signal, n, (i+1)*each*largeBytes)
		}
	}
	if n := len(b.ReadAll(t, stopTopic, 4)); n != 2*each+8 {
		t.Errorf("%d records are there, not %d", n, 2*each+8)
	}
}

const largeBytes = 16 << 10

// writeLarge writes so many large records, or, if none, a small one to each partition.
func writeLarge(t *testing.T, b *broker.Broker, n int) {
	t.Helper()
	size := largeBytes
	if n == 0 {
		n, size = 4, 1
	}
	c := b.NewClient(t, kgo.DefaultProduceTopic(stopTopic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(2*largeBytes))
	defer c.Close()
	ctx, done := context.WithTimeout(context.Background(), 20*time.Second)
	defer done()
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Partition: int32(i % 4), Value: make([]byte, size)})
	}
	if err := c.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// TestTheSecondSignalEndsAtOnce holds a clean stop up with somebody who is being answered for long, and sends a second signal:
// the process ends with exit code 1 and says why, and what was acknowledged is there.
func TestTheSecondSignalEndsAtOnce(t *testing.T) {
	for _, signals := range [][2]os.Signal{{syscall.SIGTERM, syscall.SIGTERM}, {os.Interrupt, syscall.SIGTERM}} {
		b := broker.New(t, t.TempDir(), "--set", "http.profile=true")
		b.Start()
		b.CreateTopic(t, stopTopic, 4, nil)
		writeLarge(t, b, 4)
		slow := holdUp(t, b)
		b.Signal(signals[0])
		awaitClosing(t, b)
		b.Signal(signals[1])
		if code := b.Wait(); code != 1 || !strings.Contains(b.Log(), "troupe: a second signal: ending at once\n") {
			t.Errorf("%v: exit code %d", signals, code)
		}
		<-slow
		b.Start()
		if n := len(b.ReadAll(t, stopTopic, 4)); n != 4 {
			t.Errorf("%v: %d of 4 records are there", signals, n)
		}
	}
}

// holdUp asks for an execution trace of a minute: a clean stop waits a second for it. The channel is closed when the answer
// ends.
func holdUp(t *testing.T, b *broker.Broker) <-chan struct{} {
	t.Helper()
	r, err := http.Get("http://" + b.HTTP + "/debug/pprof/trace?seconds=60")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}()
	return ended
}

// awaitClosing waits until the broker no longer takes clients.
func awaitClosing(t *testing.T, b *broker.Broker) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", b.Addr)
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(end) {
			t.Fatal("5 s after the signal the broker takes clients")
		}
	}
}
