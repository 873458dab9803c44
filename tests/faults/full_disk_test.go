package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/tests/broker"
)

const fullTopic = "full"

// TestFullDisk fills the disk under a broker that serves: appends are answered KAFKA_STORAGE_ERROR, what was acknowledged is
// still read, and with room again, in this process or in the next, everything goes on and nothing acknowledged is missing.
func TestFullDisk(t *testing.T) {
	disk := smallDisk(t, 24<<20)
	b := broker.New(t, filepath.Join(disk, "data"))
	b.Start()
	b.CreateTopic(t, fullTopic, 3, nil)
	c := b.NewClient(t, kgo.DefaultProduceTopic(fullTopic), kgo.DisableIdempotentWrite(), kgo.RecordRetries(0), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	f := &filling{t: t, b: b, client: c}
	for round := range 3 {
		f.writeSome(20)
		ballast := filepath.Join(disk, "ballast")
		fill(t, ballast)
		leave(t, ballast, rand.Int64N(2<<20))
		f.writeUntilRefused()
		f.readBack()
		if round == 1 {
			b.Kill()
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		if round == 1 { // what the full disk took of its last writes is no trouble to the next process
			b.Start()
		}
		f.writeUntilTaken()
	}
	f.writeSome(20)
	b.Kill()
	b.Start()
	f.readBack()
}

// smallDisk mounts a file system of its own for the test.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	broker.Need(t, os.Geteuid() != 0, "a small disk has to be mounted, which only root may: run the test as root")
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes))
	broker.Need(t, err != nil, fmt.Sprintf("a small disk cannot be mounted (%v): run the test where tmpfs may be mounted", err))
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill takes all the room there is.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 64<<10); len(piece) > 0; {
		if _, err := f.Write(piece); err != nil {
			piece = piece[:len(piece)/2]
		}
	}
}

// leave gives some room back.
func leave(t *testing.T, path string, bytes int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, max(0, info.Size()-bytes))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// filling is a producer that knows what was acknowledged to it.
type filling struct {
	t      *testing.T
	b      *broker.Broker
	client *kgo.Client
	acked  []string
}

// write writes one record and remembers it if it was acknowledged.
func (f *filling) write() error {
	value := fmt.Sprintf("%d-%0*d", len(f.acked), 1+rand.IntN(20000), 0)
	ctx, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	err := f.client.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr()
	if err == nil {
		f.acked = append(f.acked, value)
	}
	return err
}

func (f *filling) writeSome(n int) {
	f.t.Helper()
	for range n {
		if err := f.write(); err != nil {
			f.t.Fatal(err)
		}
	}
}

// writeUntilRefused sees appends refused for want of room, every partition's, and for no other reason.
func (f *filling) writeUntilRefused() {
	f.t.Helper()
	for refused, tries := 0, 0; refused < 10; tries++ {
		err := f.write()
		switch {
		case errors.Is(err, kerr.KafkaStorageError):
			refused++
		case err != nil:
			f.t.Fatalf("a full disk is answered with %v", err)
		case tries > 2000:
			f.t.Fatal("the disk does not get full")
		default:
			refused = 0
		}
	}
}

// writeUntilTaken waits until there is room for every partition.
func (f *filling) writeUntilTaken() {
	f.t.Helper()
	end := time.Now().Add(15 * time.Second)
	for taken := 0; taken < 6; {
		err := f.write()
		switch {
		case err == nil:
			taken++
		case time.Now().After(end):
			f.t.Fatalf("15 s after there was room again: %v", err)
		default:
			taken = 0
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// readBack reads everything that was acknowledged. What was refused may be there too: a refusal does not promise that
// nothing was written.
func (f *filling) readBack() {
	f.t.Helper()
	there := map[string]bool{}
	for _, r := range f.b.ReadAll(f.t, fullTopic, 3) {
		there[string(r.Value)] = true
	}
	missing := 0
	for _, value := range f.acked {
		if !there[value] {
			missing++
		}
	}
	if missing > 0 {
		f.t.Fatalf("%d of %d acknowledged records are missing", missing, len(f.acked))
	}
}
