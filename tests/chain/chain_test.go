package chain

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/tests/broker"
)

const (
	partitions   = 6
	applications = 2
	pace         = 20 * time.Millisecond // between two records to each partition
	killEvery    = 3 * time.Second       // on average
	endPatience  = 2 * time.Minute       // for the application to read to the end when nothing is killed any more
)

// chain is one run.
type chain struct {
	t       *testing.T
	cluster *broker.Cluster
	client  *kgo.Client

	fed     [partitions]int64 // records that were acknowledged, per partition; all that were sent, in the end
	feeding sync.WaitGroup

	ending             atomic.Bool
	running            sync.WaitGroup
	mu                 sync.Mutex
	processes          [applications]*os.Process
	committed, aborted atomic.Int64
	starts             atomic.Int64
	kills, brokerKills int
}

// TestExactlyOnce runs the chain for TROUPE_CHAIN (10 s).
func TestExactlyOnce(t *testing.T) {
	lasting := 10 * time.Second
	if text := os.Getenv("TROUPE_CHAIN"); text != "" {
		var err error
		if lasting, err = time.ParseDuration(text); err != nil {
			t.Fatalf("TROUPE_CHAIN=%s: write a duration, as in 5m", text)
		}
	} else {
		t.Log("10 s: TROUPE_CHAIN=5m, or tests/chain/run, for longer")
	}
	c := newChain(t)
	stop := c.feed()
	for name := range applications {
		c.running.Go(func() { c.run(name) })
	}
	c.killFor(lasting)
	stop()
	c.awaitEnd()
	c.end()
	c.verify()
	t.Logf("%v: %d in, %d transactions committed, %d aborted; brokers killed %d times, applications %d times (and started %d times)",
		lasting, c.total(), c.committed.Load(), c.aborted.Load(), c.brokerKills, c.kills, c.starts.Load())
}

func newChain(t *testing.T) *chain {
	var at []broker.Place
	dir := t.TempDir()
	for i := range 3 {
		at = append(at, broker.Place{Data: filepath.Join(dir, fmt.Sprint(i+1))})
	}
	c := &chain{t: t, cluster: broker.NewCluster(t, at, "group.initial.rebalance.delay.ms=0")}
	c.client = c.cluster.NewClient(t)
	for _, topic := range []string{input, output} {
		if _, err := kadm.NewClient(c.client).CreateTopic(context.Background(), partitions, 3, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// feed writes numbers to every partition of the input until it is stopped, and then waits until all are acknowledged.
func (c *chain) feed() (stop func()) {
	client := c.cluster.NewClient(c.t, kgo.DefaultProduceTopic(input), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(100_000),
		kgo.RecordRetries(1<<30))
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	c.feeding.Go(func() {
		for tick := time.NewTicker(pace); ctx.Err() == nil; <-tick.C {
			for p := range c.fed {
				value := binary.BigEndian.AppendUint64(nil, uint64(c.fed[p]))
				client.Produce(context.Background(), &kgo.Record{Partition: int32(p), Value: value}, func(_ *kgo.Record, err error) {
					if err != nil {
						c.t.Errorf("the input was not taken: %v", err)
					}
				})
				c.fed[p]++
			}
		}
	})
	return func() {
		cancel()
		c.feeding.Wait()
		if err := client.Flush(context.Background()); err != nil {
			c.t.Error(err)
		}
	}
}

func (c *chain) total() (n int64) {
	for _, of := range c.fed {
		n += of
	}
	return n
}

// run keeps one instance of the application running: this program, in its other role.
func (c *chain) run(name int) {
	for !c.ending.Load() {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", roleVariable, name), "CHAIN_BOOTSTRAP="+strings.Join(c.cluster.Addrs(), ","))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			c.t.Error(err)
			return
		}
		c.starts.Add(1)
		c.set(name, cmd.Process)
		c.count(bufio.NewScanner(out))
		c.set(name, nil)
		cmd.Wait()
	}
}

func (c *chain) set(name int, p *os.Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.processes[name] = p; p != nil && c.ending.Load() {
		p.Kill()
	}
}

func (c *chain) count(lines *bufio.Scanner) {
	for lines.Scan() {
		switch lines.Text() {
		case "true":
			c.committed.Add(1)
		case "false":
			c.aborted.Add(1)
		}
	}
}

// kill ends an instance of the application, if it runs.
func (c *chain) kill(name int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.processes[name]; p != nil {
		p.Kill()
		c.kills++
	}
}

// killFor kills somebody every now and then: one broker at a time, so that two of three remain.
func (c *chain) killFor(lasting time.Duration) {
	for end := time.Now().Add(lasting); ; {
		time.Sleep(killEvery/2 + rand.N(killEvery))
		if !time.Now().Before(end) {
			return
		}
		if rand.IntN(2) == 0 {
			c.kill(rand.IntN(applications))
			continue
		}
		b := c.cluster.Nodes[rand.IntN(3)]
		b.Kill()
		c.brokerKills++
		time.Sleep(rand.N(2 * time.Second))
		b.Start()
	}
}

// awaitEnd waits until the group has committed the end of the input.
func (c *chain) awaitEnd() {
	for end := time.Now().Add(endPatience); ; time.Sleep(100 * time.Millisecond) {
		left, err := c.left()
		if err == nil && left == [partitions]int64{} {
			return
		}
		if time.Now().After(end) {
			c.explain()
			c.t.Fatalf("%v after the last fault, of %d records of each partition %d were not read: %v", endPatience, c.fed, left, err)
		}
	}
}

// left is how much of each partition the group has yet to commit.
func (c *chain) left() (left [partitions]int64, err error) {
	ctx, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	offsets, err := kadm.NewClient(c.client).FetchOffsets(ctx, group)
	left = c.fed
	offsets.Each(func(o kadm.OffsetResponse) { left[o.Partition] -= o.At })
	return left, err
}

// explain says how the group and its transactions stand.
func (c *chain) explain() {
	for _, args := range [][]string{{"group", "describe", group}, {"partition", "list", output}} {
		out, err := broker.Command(c.t, append(args, "--bootstrap", strings.Join(c.cluster.Addrs(), ","))...).CombinedOutput()
		c.t.Logf("troupe %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	admin := kadm.NewClient(c.client)
	transactions, err := admin.DescribeTransactions(context.Background(), "chain-0", "chain-1")
	c.t.Logf("transactions: %+v %v", transactions, err)
	stable, err := admin.ListCommittedOffsets(context.Background(), output)
	c.t.Logf("stable ends of the output: %+v %v", stable, err)
	ends, err := admin.ListEndOffsets(context.Background(), output)
	c.t.Logf("ends of the output: %+v %v", ends, err)
}

// end stops the application.
func (c *chain) end() {
	c.ending.Store(true)
	for name := range applications {
		c.mu.Lock()
		if p := c.processes[name]; p != nil {
			p.Kill()
		}
		c.mu.Unlock()
	}
	c.running.Wait()
}

// verify holds the output that is committed against the input: each number once and, as one partition goes into one, in order.
func (c *chain) verify() {
	client := c.cluster.NewClient(c.t, broker.FromStart(output, partitions), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	var next [partitions]int64
	lost, doubled := 0, 0
	for read := int64(0); read < c.total(); {
		ctx, done := context.WithTimeout(context.Background(), 20*time.Second)
		fetches := client.PollFetches(ctx)
		done()
		if err := fetches.Err(); err != nil {
			c.t.Fatalf("after %d of %d records of the output: %v", read, c.total(), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			n, want := int64(binary.BigEndian.Uint64(r.Value)), &next[r.Partition]
			if n < *want {
				doubled++
				return
			}
			lost += int(n - *want)
			*want = n + 1
		})
	}
	for p, n := range next {
		lost += int(c.fed[p] - n)
	}
	if lost+doubled > 0 {
		c.t.Errorf("of %d records %d are lost and %d are there twice", c.total(), lost, doubled)
	}
	c.nothingMore(client)
}

// nothingMore says that the output ends with what was read.
func (c *chain) nothingMore(client *kgo.Client) {
	ctx, done := context.WithTimeout(context.Background(), 2*time.Second)
	defer done()
	if n := client.PollFetches(ctx).NumRecords(); n > 0 {
		c.t.Errorf("%d records more than there should be", n)
	}
}
