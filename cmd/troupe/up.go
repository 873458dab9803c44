package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// up is what the flags of the command say.
type up struct {
	data string
	port int
	set  []string
}

func newClusterUp() *cobra.Command {
	var u up
	c := &cobra.Command{
		Use: "up COUNT", Short: "Run a cluster of a few nodes on this machine, for trying out", Args: cobra.ExactArgs(1),
		Long: `Run a cluster of a few nodes on this machine, for trying out: processes of this program with data directories of their own.

For each node a line is written to the standard output, node=NUMBER kafka=ADDRESS http=ADDRESS pid=NUMBER, and then: ready.
Kafka clients are served at the port and those that follow it; the nodes speak with each other at the ports behind those.
SIGTERM or an interrupt stops the nodes, the last one first; a second one ends them at once. A node that ends before that
is told of, with the command that starts it again; the others go on. With the same directory, the same cluster runs again.

Topics that do not say otherwise have three replicas, of which two must be in sync; where there are fewer nodes, as many as those.`,
		Example: `  troupe cluster up 3
  troupe cluster up 3 --data /tmp/three --port 19092 --set num.partitions=12`,
		RunE: func(c *cobra.Command, args []string) error {
			count, err := strconv.Atoi(args[0])
			if err != nil || count < 1 || count > 100 {
				return usagef("%s: write how many nodes, 1 to 100", args[0])
			}
			return u.run(c, count)
		},
	}
	f := c.Flags()
	f.StringVar(&u.data, "data", "troupe-cluster", "the `directory` that the nodes' data directories are in")
	f.IntVar(&u.port, "port", 9092, "where the first node listens for Kafka clients; the others follow; 0 takes free `port`s")
	f.StringArrayVar(&u.set, "set", nil, "a setting of every node, `name=value`; may be repeated (docs/configuration.md)")
	return c
}

// votersMax is how many of the nodes found the cluster; the others join it.
const votersMax = 5

// child is a node's process.
type child struct {
	number int
	args   []string
	cmd    *exec.Cmd
	ready  chan string   // the line that it says when it serves
	ended  chan struct{} // closed when it has
	err    error         // how, once it has
}

func (u *up) run(c *cobra.Command, count int) error {
	nodes, err := u.nodes(count)
	if err != nil {
		return err
	}
	tell := &teller{to: c.ErrOrStderr()}
	stopped := stopOnSignal(c.Context(), c.ErrOrStderr(), func() { signalAll(nodes, syscall.SIGKILL) })
	defer stop(nodes, tell)
	for _, n := range nodes {
		if err := n.start(tell); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if err := n.await(stopped, c.OutOrStdout()); err != nil {
			return err
		}
	}
	if stopped.Err() != nil {
		return nil
	}
	fmt.Fprintln(c.OutOrStdout(), "ready")
	return watch(stopped, nodes, tell)
}

// nodes are the processes to be, none of them started.
func (u *up) nodes(count int) ([]*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	doors, err := u.ports(2 * count)
	if err != nil {
		return nil, err
	}
	data, err := filepath.Abs(u.data)
	if err != nil {
		return nil, err
	}
	set := append([]string{fmt.Sprintf("default.replication.factor=%d", min(count, 3)), fmt.Sprintf("min.insync.replicas=%d", min(count, 2))}, u.set...)
	var nodes []*child
	for i := range count {
		args := []string{"server", "--node-id", strconv.Itoa(i + 1), "--data", filepath.Join(data, strconv.Itoa(i+1)),
			"--listeners", "PLAINTEXT://" + doors[i], "--http", "127.0.0.1:0", "--cluster", doors[count+i]}
		if i < votersMax {
			args = append(args, "--bootstrap-expect", strconv.Itoa(min(count, votersMax)))
		}
		for j, other := range doors[count:] {
			if j != i && j < votersMax {
				args = append(args, "--join", other)
			}
		}
		for _, s := range set {
			args = append(args, "--set", s)
		}
		n := &child{number: i + 1, args: args, cmd: exec.Command(program, args...), ready: make(chan string, 1), ended: make(chan struct{})}
		n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is for this process alone, which stops them in order
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// ports are addresses that follow each other, or free ones.
func (u *up) ports(count int) ([]string, error) {
	if u.port < 0 || u.port+count > 1<<16 {
		return nil, usagef("--port %d: write a port that %d others may follow", u.port, count-1)
	}
	var all []string
	for i := range count {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(u.port+i))
		if u.port == 0 {
			address = "127.0.0.1:0"
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("%w: choose other ports with --port", err)
		}
		defer l.Close() // not before all are found: a free one would be found twice
		all = append(all, l.Addr().String())
	}
	return all, nil
}

func (n *child) start(tell *teller) error {
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	problems, err := n.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := n.cmd.Start(); err != nil {
		close(n.ended)
		return fmt.Errorf("node %d: %w", n.number, err)
	}
	go n.follow(out, problems, tell)
	return nil
}

// follow passes on what the node says until it has ended.
func (n *child) follow(out, problems io.Reader, tell *teller) {
	var read sync.WaitGroup
	read.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if line, ready := strings.CutPrefix(lines.Text(), "ready "); ready {
				n.ready <- line
			}
		}
	})
	read.Go(func() {
		for lines := bufio.NewReader(problems); ; {
			line, err := lines.ReadString('\n')
			if line != "" {
				tell.say("node=%d %s", n.number, strings.TrimSuffix(line, "\n"))
			}
			if err != nil {
				return
			}
		}
	})
	read.Wait()
	n.err = n.cmd.Wait()
	close(n.ended)
}

// await tells of a node that serves.
func (n *child) await(stopped context.Context, out io.Writer) error {
	select {
	case line := <-n.ready:
		_, err := fmt.Fprintf(out, "node=%d %s\n", n.number, line)
		return err
	case <-n.ended:
		return fmt.Errorf("node %d has ended before it was ready: %w", n.number, n.how())
	case <-stopped.Done():
		return nil
	}
}

var errEnded = errors.New("without an error")

func (n *child) how() error {
	if n.err == nil {
		return errEnded
	}
	return n.err
}

// watch tells of nodes that end, until it is stopped or none is left.
func watch(stopped context.Context, nodes []*child, tell *teller) error {
	ended := make(chan *child, len(nodes))
	for _, n := range nodes {
		go func() {
			<-n.ended
			ended <- n
		}()
	}
	for range nodes {
		select {
		case <-stopped.Done():
			return nil
		case n := <-ended:
			if stopped.Err() == nil {
				tell.say("troupe: node %d (pid %d) has ended: %v. To start it again:\n  %s", n.number, n.cmd.Process.Pid, n.how(), n.command())
			}
		}
	}
	if stopped.Err() == nil {
		return errors.New("all nodes have ended")
	}
	return nil
}

// command is how a shell starts the node.
func (n *child) command() string {
	words := []string{n.cmd.Path}
	for _, a := range n.args {
		if strings.ContainsAny(a, " '\"$\\;&|<>()*?") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// stop ends the nodes one after the other, so that each can hand over to those that still run, and waits for them.
func stop(nodes []*child, tell *teller) {
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		if n.cmd.Process == nil {
			continue
		}
		_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		for waiting := true; waiting; {
			select {
			case <-n.ended:
				waiting = false
			case <-time.After(10 * time.Second):
				tell.say("troupe: node %d (pid %d) is still stopping", n.number, n.cmd.Process.Pid)
			}
		}
	}
}

func signalAll(nodes []*child, by syscall.Signal) {
	for _, n := range nodes {
		if n.cmd.Process != nil {
			_ = n.cmd.Process.Signal(by) // it may have ended
		}
	}
}

// teller writes whole lines of several nodes.
type teller struct {
	mu sync.Mutex
	to io.Writer
}

func (t *teller) say(format string, values ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.to, format+"\n", values...)
}
