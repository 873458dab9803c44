// Command failover runs three nodes, writes to them without a pause, kills the node that leads with kill -9, and shows that nothing that was
// acknowledged is lost and for how long nobody could write:
//
//	go run ./examples/failover
//
// The nodes are processes of the command troupe, which it builds first, in a directory that goes with them.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	troupe := flag.String("troupe", "", "the `command` to run; empty: it is built")
	flag.Parse()
	if err := run(os.Stdout, *troupe); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const topic = "failover"

func run(out io.Writer, troupe string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "troupe-failover-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if troupe == "" {
		troupe = filepath.Join(dir, "troupe")
		if built, err := exec.Command("go", "build", "-o", troupe, "github.com/troupe-broker/troupe/cmd/troupe").CombinedOutput(); err != nil {
			return fmt.Errorf("troupe cannot be built: %w\n%s", err, built)
		}
	}
	c, err := start(out, troupe, dir)
	if err != nil {
		return err
	}
	defer c.stop()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.addresses...), kgo.MetadataMinAge(50*time.Millisecond), kgo.DefaultProduceTopic(topic),
		kgo.ProducerLinger(0), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, 3, nil, topic); err != nil {
		return err
	}
	w := &writer{client: client}
	go w.write(ctx)
	if err := watch(ctx, out, client, c, w); err != nil {
		return err
	}
	return audit(ctx, out, client, w)
}

// watch kills the leader after two seconds and says who leads before and after.
func watch(ctx context.Context, out io.Writer, client *kgo.Client, c *cluster, w *writer) error {
	time.Sleep(2 * time.Second)
	victim, err := leader(ctx, client)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "node %d leads; %d records are acknowledged, the longest pause was %v\n", victim, w.acked.Load(), w.pause())
	if err := syscall.Kill(c.pids[victim], syscall.SIGKILL); err != nil {
		return err
	}
	fmt.Fprintf(out, "kill -9 of node %d\n", victim)
	time.Sleep(3 * time.Second)
	heir, err := leader(ctx, client)
	if err != nil {
		return err
	}
	if heir == victim {
		return fmt.Errorf("node %d is dead and still leads", victim)
	}
	fmt.Fprintf(out, "node %d leads; %d records are acknowledged, the longest pause was %v\n", heir, w.acked.Load(), w.pause())
	w.done.Store(true)
	return nil
}

func leader(ctx context.Context, client *kgo.Client) (int32, error) {
	topics, err := kadm.NewClient(client).ListTopics(ctx, topic)
	if err != nil {
		return 0, err
	}
	return topics[topic].Partitions[0].Leader, topics[topic].Partitions[0].Err
}

// writer writes a number after the other, each when the one before is acknowledged.
type writer struct {
	client  *kgo.Client
	acked   atomic.Int64
	longest atomic.Int64 // pause between two answers, in nanoseconds
	done    atomic.Bool
}

func (w *writer) write(ctx context.Context) {
	for last := time.Now(); !w.done.Load(); {
		if err := w.client.ProduceSync(ctx, kgo.StringRecord(strconv.FormatInt(w.acked.Load(), 10))).FirstErr(); err != nil {
			return
		}
		now := time.Now()
		w.longest.Store(max(w.longest.Load(), int64(now.Sub(last))))
		last = now
		w.acked.Add(1)
	}
}

func (w *writer) pause() time.Duration {
	return time.Duration(w.longest.Swap(0)).Round(time.Millisecond)
}

// audit reads everything and looks for what was acknowledged.
func audit(ctx context.Context, out io.Writer, client *kgo.Client, w *writer) error {
	acked, next := w.acked.Load(), int64(0)
	for next < acked {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("%d of %d records are there: %w", next, acked, ctx.Err())
		}
		var wrong error
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Value) != strconv.FormatInt(next, 10) && wrong == nil {
				wrong = fmt.Errorf("at offset %d there is %s and not %d", r.Offset, r.Value, next)
			}
			next++
		})
		if wrong != nil {
			return wrong
		}
	}
	fmt.Fprintf(out, "all %d records that were acknowledged are there, each once and in order\n", acked)
	return nil
}

// cluster are three nodes.
type cluster struct {
	command   *exec.Cmd
	addresses []string
	pids      map[int32]int
}

// start runs "troupe cluster up" and waits until the nodes are ready.
func start(out io.Writer, troupe, dir string) (*cluster, error) {
	c := &cluster{command: exec.Command(troupe, "cluster", "up", "3", "--data", filepath.Join(dir, "data"), "--port", "0"), pids: map[int32]int{}}
	said, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(said); lines.Scan(); { // node=1 kafka=127.0.0.1:9092 http=... pid=4711
		if lines.Text() == "ready" {
			fmt.Fprintln(out, "three nodes are ready")
			go io.Copy(io.Discard, said)
			return c, nil
		}
		var node, pid int
		for _, field := range strings.Fields(lines.Text()) {
			switch name, value, _ := strings.Cut(field, "="); name {
			case "node":
				node, _ = strconv.Atoi(value)
			case "pid":
				pid, _ = strconv.Atoi(value)
			case "kafka":
				c.addresses = append(c.addresses, value)
			}
		}
		c.pids[int32(node)] = pid
	}
	c.stop()
	return nil, errors.New("the nodes do not start: run troupe cluster up 3 to see why")
}

func (c *cluster) stop() {
	c.command.Process.Signal(syscall.SIGTERM)
	c.command.Wait()
}
