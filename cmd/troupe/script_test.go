package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"troupe": main}) }

// The scripts run the real command: "serve [ARGS]" starts a broker on free ports with its data in ./data and sets $KAFKA
// and $HTTP; "halt" ends it with SIGTERM, "crash" with SIGKILL. "up COUNT" runs a cluster with its data in ./cluster, and sets
// $KAFKA to the first node's address and $PID1, $PID2 … to the nodes' processes; "halt" ends it. Commands of testscript's own go first: what is named stop here would end the script there.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serve,
			"up":    upScript,
			"halt":  func(ts *testscript.TestScript, neg bool, _ []string) { end(ts, neg, syscall.SIGTERM) },
			"crash": func(ts *testscript.TestScript, neg bool, _ []string) { end(ts, neg, syscall.SIGKILL) },
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("TMPDIR", env.WorkDir)
			return nil
		},
	})
}

// servers are the running brokers by their data directory: scripts run side by side.
var servers sync.Map

func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("! serve is not supported: use ! troupe server")
	}
	data := ts.MkAbs("data")
	c := exec.Command("troupe", append([]string{"server", "--data", data, "--listeners", "PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0"}, args...)...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	ts.Check(err)
	ts.Check(c.Start())
	servers.Store(data, c)
	ts.Defer(func() { _ = c.Process.Kill(); _ = c.Wait() })
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(out).ReadString('\n')
		line <- text
	}()
	select {
	case text := <-line:
		var kafka, http string
		var pid int
		if _, err := fmt.Sscanf(text, "ready kafka=%s http=%s pid=%d\n", &kafka, &http, &pid); err != nil || pid != c.Process.Pid {
			ts.Fatalf("instead of being ready it says %q", strings.TrimSpace(text))
		}
		ts.Setenv("KAFKA", kafka)
		ts.Setenv("HTTP", http)
	case <-time.After(20 * time.Second):
		ts.Fatalf("not ready within 20 s")
	}
}

func upScript(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("write up COUNT")
	}
	c := exec.Command("troupe", "cluster", "up", args[0], "--data", ts.MkAbs("cluster"), "--port", "0")
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	ts.Check(err)
	ts.Check(c.Start())
	servers.Store(ts.MkAbs("data"), c)
	ts.Defer(func() { _ = c.Process.Signal(syscall.SIGTERM); _ = c.Wait() })
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	for late := time.After(30 * time.Second); ; {
		select {
		case line, more := <-lines:
			var node, pid int
			var kafka, http string
			if _, err := fmt.Sscanf(line, "node=%d kafka=%s http=%s pid=%d", &node, &kafka, &http, &pid); err == nil {
				ts.Setenv(fmt.Sprintf("PID%d", node), strconv.Itoa(pid))
				if node == 1 {
					ts.Setenv("KAFKA", kafka)
				}
			}
			if line == "ready" {
				return
			}
			if !more {
				ts.Fatalf("it has ended before it was ready")
			}
		case <-late:
			ts.Fatalf("not ready within 30 s")
		}
	}
}

func end(ts *testscript.TestScript, neg bool, by syscall.Signal) {
	s, _ := servers.Load(ts.MkAbs("data"))
	c := s.(*exec.Cmd)
	ts.Check(c.Process.Signal(by))
	err := c.Wait()
	if failed := err != nil && by != syscall.SIGKILL; failed != neg {
		ts.Fatalf("it ended with %v", err)
	}
}
