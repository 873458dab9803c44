package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/tests/broker"
)

// The producers of a drive, by number.
const (
	franz      = 0
	librdkafka = 1
)

// pace is the time between two records of a producer to a partition.
const pace = 10 * time.Millisecond

// drive is the load of one fault: idempotent producers of unmodified clients that write to a topic at a steady pace, and a
// consumer that reads along.
type drive struct {
	*ledger
	t          *testing.T
	cluster    *broker.Cluster
	topic      string
	partitions int32
	producers  int

	ending  []func() // each waits until what its producer sent is answered
	reading sync.WaitGroup
	reader  *kgo.Client
	said    map[place]id // what the consumer was given
}

// place is where a record is.
type place struct {
	partition int32
	offset    int64
}

// startDrive begins the load, and waits until every stream was acknowledged once.
func startDrive(t *testing.T, c *broker.Cluster, topic string, partitions int32) *drive {
	t.Helper()
	d := &drive{ledger: newLedger(), t: t, cluster: c, topic: topic, partitions: partitions, said: map[place]id{}}
	d.readAlong()
	d.driveFranz()
	if python := pythonWithLibrdkafka(); python != "" {
		d.driveLibrdkafka(python)
	}
	d.await("the load begins", time.Time{})
	return d
}

// await waits until every stream was acknowledged after a time.
func (d *drive) await(when string, after time.Time) {
	d.t.Helper()
	want := d.producers * int(d.partitions)
	for end := time.Now().Add(30 * time.Second); d.heardSince(after) < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("%s: for 30 s only %d of %d streams were acknowledged", when, d.heardSince(after), want)
		}
	}
}

func (d *drive) driveFranz() {
	d.producers++
	client := d.cluster.NewClient(d.t, kgo.DefaultProduceTopic(d.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(100_000), kgo.ProducerLinger(time.Millisecond), kgo.RecordRetries(1<<30))
	ctx, stop := context.WithCancel(context.Background())
	d.t.Cleanup(stop)
	var producing sync.WaitGroup
	producing.Go(func() {
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for number := uint64(0); ctx.Err() == nil; number++ {
			for partition := range uint32(d.partitions) {
				i := id{stream{franz, partition}, number}
				client.Produce(context.Background(), &kgo.Record{Partition: int32(partition), Value: i.value()}, func(r *kgo.Record, err error) {
					d.answered(i, r.Offset, err)
				})
			}
			<-tick.C
		}
	})
	d.ending = append(d.ending, func() {
		stop()
		producing.Wait()
		flushing, done := context.WithTimeout(context.Background(), time.Minute)
		defer done()
		if err := client.Flush(flushing); err != nil {
			d.t.Errorf("franz-go: what was sent is not acknowledged: %v", err)
		}
		client.Close()
	})
}

// pythonWithLibrdkafka is a Python that has confluent-kafka, empty if there is none: that of TROUPE_PYTHON, one that the client
// suites or .ci/run have installed, or the one on the path.
var pythonWithLibrdkafka = sync.OnceValue(func() string {
	candidates := []string{os.Getenv("TROUPE_PYTHON")}
	if cache, err := os.UserCacheDir(); err == nil {
		installed, _ := filepath.Glob(filepath.Join(cache, "troupe-suites", "confluent-kafka-*", "venv", "bin", "python"))
		candidates = append(candidates, installed...)
	}
	for _, python := range append(candidates, "python3") {
		if python != "" && exec.Command(python, "-c", "import confluent_kafka").Run() == nil {
			return python
		}
	}
	return ""
})

func (d *drive) driveLibrdkafka(python string) {
	d.producers++
	c := exec.Command(python, "librdkafka.py", strings.Join(d.cluster.Addrs(), ","), d.topic, fmt.Sprint(d.partitions), fmt.Sprint(librdkafka), fmt.Sprint(pace.Milliseconds()))
	in, err := c.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Process.Kill() })
	end := make(chan error, 1)
	go func() { end <- errors.Join(d.hearLibrdkafka(out), c.Wait()) }()
	d.ending = append(d.ending, func() {
		in.Close()
		select {
		case err := <-end:
			if err != nil {
				d.t.Errorf("librdkafka: %v", err)
			}
		case <-time.After(70 * time.Second):
			d.t.Error("librdkafka: it does not end")
		}
	})
}

// hearLibrdkafka takes down the lines of librdkafka.py.
func (d *drive) hearLibrdkafka(out io.Reader) error {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var i id
		var offset int64
		var left int
		line := lines.Text()
		i.producer = librdkafka
		if n, _ := fmt.Sscanf(line, "ack %d %d %d", &i.partition, &i.number, &offset); n == 3 {
			d.answered(i, offset, nil)
		} else if n, _ := fmt.Sscanf(line, "left %d", &left); n == 1 {
			if left > 0 {
				return fmt.Errorf("%d records were never answered", left)
			}
			return nil
		} else {
			d.answered(i, 0, errors.New(line))
		}
	}
	return errors.New("it ended before its time")
}

// readAlong consumes the topic while it is written.
func (d *drive) readAlong() {
	d.reader = d.cluster.NewClient(d.t, broker.FromStart(d.topic, d.partitions))
	d.reading.Go(func() {
		for {
			fetches := d.reader.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			fetches.EachRecord(func(r *kgo.Record) { d.said[place{r.Partition, r.Offset}] = idOf(r.Value) })
		}
	})
}

// stop ends the load: everything that was sent is acknowledged.
func (d *drive) stop() {
	d.t.Helper()
	for _, end := range d.ending {
		end()
	}
	d.reader.Close()
	d.reading.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.failed) > 0 {
		d.t.Errorf("%d records failed although their producers never give up; the first: %v", len(d.failed), d.failed[0])
	}
}

// verify reads everything back. What the consumer was given while the fault lasted is part of it for ever.
func (d *drive) verify(t *testing.T) verdict {
	t.Helper()
	records := d.cluster.ReadAll(t, d.topic, d.partitions)
	v := d.ledger.verify(records)
	there := map[place]id{}
	for _, r := range records {
		there[place{r.Partition, r.Offset}] = idOf(r.Value)
	}
	for at, i := range d.said {
		if there[at] != i {
			v.wrong++
			v.note("a consumer was given record %+v at %+v, where now is %+v", i, at, there[at])
		}
	}
	return v
}
