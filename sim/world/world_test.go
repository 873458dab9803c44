package world

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
	"github.com/troupe-broker/troupe/sim/network"
)

// client says one thing after the other over one connection at a time, and tries again until it is answered well.
type client struct {
	w    *World
	conn *network.Conn
	ask  kmsg.Request
	good func(kmsg.Response) bool
	next func()
	turn int
}

// say sends a request until good says that its answer will do; then next is called.
func (c *client) say(ask kmsg.Request, good func(kmsg.Response) bool, next func()) {
	c.ask, c.good, c.next = ask, good, next
	c.try()
}

func (c *client) try() {
	c.turn++
	turn := c.turn
	if c.conn == nil {
		c.conn = c.w.Dial("client", 1, c)
	}
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("scene"))
	c.conn.Send(f.AppendRequest(nil, c.ask, int32(turn))[4:])
	c.w.After(500*time.Millisecond, func() {
		if c.turn == turn && c.conn != nil {
			c.conn.Close()
			c.Closed()
		}
	})
}

func (c *client) Closed() {
	c.conn = nil
	c.again()
}

func (c *client) again() {
	c.turn++
	turn := c.turn
	c.w.After(20*time.Millisecond, func() {
		if c.turn == turn {
			c.try()
		}
	})
}

func (c *client) Received(frame []byte) {
	if int(binary.BigEndian.Uint32(frame)) != c.turn {
		return
	}
	r := c.ask.ResponseKind()
	r.SetVersion(c.ask.GetVersion())
	frame = frame[4:]
	if r.IsFlexible() {
		frame = frame[1:]
	}
	if err := r.ReadFrom(frame); err != nil {
		panic(err)
	}
	if !c.good(r) {
		c.again()
		return
	}
	c.turn++
	c.next()
}

func createTopic() kmsg.Request {
	r := kmsg.NewPtrCreateTopicsRequest()
	r.Version, r.TimeoutMillis = 5, 5000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = "scene", 1, 1
	r.Topics = append(r.Topics, t)
	return r
}

func created(r kmsg.Response) bool {
	code := r.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode
	return code == 0 || code == 36
}

func batch(i int) []byte {
	b := record.NewBuilder(0)
	b.Add(Start.UnixMilli(), nil, fmt.Appendf(nil, "value %d", i))
	made, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return made
}

func produce(i int) kmsg.Request {
	r := kmsg.NewPtrProduceRequest()
	r.Version, r.Acks, r.TimeoutMillis = 9, -1, 5000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = "scene"
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch(i)
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	return r
}

func produced(r kmsg.Response) bool {
	return r.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode == 0
}

func fetch() kmsg.Request {
	r := kmsg.NewPtrFetchRequest()
	r.Version, r.MaxBytes, r.MaxWaitMillis = 12, 1<<20, 10
	t := kmsg.NewFetchRequestTopic()
	t.Topic = "scene"
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	return r
}

// scene makes a topic, writes 20 batches with a loss of power after the tenth and a kill, a pause and a clock that jumps
// before, and reads them again. It returns what was read.
func scene(t *testing.T, seed uint64, o network.Options) (read []byte, hash uint64) {
	w := New(Options{Seed: seed, Network: o})
	defer w.Close()
	n, err := w.Add(1, map[string]string{"journal.file.bytes": "65536"}, vfs.MemoryOptions{Rand: w.Rand("disk of 1"),
		Latency: func(op vfs.Op, _ string, _ int) time.Duration {
			if op == vfs.OpSync {
				return time.Millisecond
			}
			return time.Microsecond
		}})
	if err == nil {
		err = n.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &client{w: w}
	done := false
	finish := func() {
		c.say(fetch(), func(r kmsg.Response) bool {
			p := r.(*kmsg.FetchResponse).Topics[0].Partitions[0]
			read = slices.Clone(p.RecordBatches)
			return p.ErrorCode == 0 && bytes.Contains(read, []byte("value 19"))
		}, func() { done = true })
	}
	var write func(i int)
	write = func(i int) {
		switch i {
		case 20:
			finish()
			return
		case 5:
			w.After(0, n.Kill)
			w.After(50*time.Millisecond, func() { n.Start() })
		case 8:
			w.After(0, n.Pause)
			w.After(200*time.Millisecond, n.Resume)
			n.SetClock(-time.Hour)
		case 10:
			w.After(0, n.PowerOff)
			w.After(100*time.Millisecond, func() { n.Start() })
		case 15:
			w.Net.Cut(1)
		}
		c.say(produce(i), produced, func() { write(i + 1) })
	}
	c.say(createTopic(), created, func() { write(0) })
	if !w.RunUntil(func() bool { return done }, time.Minute, 1e6) {
		t.Fatalf("seed %d: the scene does not end: %v and %d steps", seed, w.Now(), w.Time.Steps())
	}
	if err := n.Shutdown(10 * time.Second); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	return read, w.Hash()
}

func TestWhatWasAcknowledgedIsThereAfterTheCrash(t *testing.T) {
	for seed := range uint64(20) {
		read, hash := scene(t, seed, network.Options{})
		at := 0
		for i := range 20 {
			found := bytes.Index(read[at:], fmt.Appendf(nil, "value %d", i))
			if found < 0 {
				t.Fatalf("seed %d: value %d is not there, or not in order", seed, i)
			}
			at += found
		}
		if _, again := scene(t, seed, network.Options{}); again != hash {
			t.Fatalf("seed %d: twin runs have hashes %x and %x", seed, hash, again)
		}
	}
}

func TestABadNetworkIsOnlySlow(t *testing.T) {
	for seed := range uint64(10) {
		scene(t, seed, network.Options{Reset: 0.05, SlowReader: 0.2, DelayMax: 5 * time.Millisecond})
	}
}
