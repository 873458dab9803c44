// Package faults does to the real binary what the simulator cannot: it kills processes and fills disks, on loopback, a bounded
// number of times, and stops only what it started. TROUPE_FULL=1 runs the whole number of rounds.
package faults

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// executable builds the command once for all tests of the package.
var executable = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "troupe-faults-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "troupe")
	out, err := exec.Command("go", "build", "-o", path, "github.com/troupe-broker/troupe/cmd/troupe").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := executable(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// rounds is how often a fault is repeated: all of them with TROUPE_FULL=1, few otherwise.
func rounds(t *testing.T, all, few int) int {
	if os.Getenv("TROUPE_FULL") != "" {
		return all
	}
	t.Logf("%d rounds of %d: run with TROUPE_FULL=1 for all", few, all)
	return few
}

// broker is one process on a fixed port and data directory, started as often as it is killed.
type broker struct {
	t    *testing.T
	data string
	addr string
	args []string
	cmd  *exec.Cmd
	log  *os.File
}

func newBroker(t *testing.T, data string, args ...string) *broker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{t: t, data: data, addr: addr, args: args, log: log}
	t.Cleanup(func() {
		b.kill()
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the broker's log:\n%s", tail(string(text), 6000))
		}
	})
	return b
}

// start runs the process and waits for its ready line; it says how long that took.
func (b *broker) start() time.Duration {
	b.t.Helper()
	path, err := executable()
	if err != nil {
		b.t.Fatal(err)
	}
	args := append([]string{"server", "--data", b.data, "--listeners", "PLAINTEXT://" + b.addr, "--http", "127.0.0.1:0"}, b.args...)
	b.cmd = exec.Command(path, args...)
	b.cmd.Stderr = b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	began := time.Now()
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		b.t.Fatalf("the broker did not get ready: %q, %v", line, err)
	}
	return time.Since(began)
}

// kill ends the process as kill -9 does.
func (b *broker) kill() {
	if b.cmd == nil {
		return
	}
	b.cmd.Process.Kill()
	b.cmd.Wait()
	b.cmd = nil
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
