// Package broker runs the real binary for the tests beside it (Serve alone runs a node within the test): alone or as nodes of a cluster, on loopback or in network
// namespaces, on a port and in a data directory that the test chooses, started and killed as often as the test likes. It
// stops only what it started.
package broker

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Executable builds the command once for all tests of a package, and returns its path. Main removes it.
var Executable = sync.OnceValues(func() (string, error) {
	built = true
	dir, err := os.MkdirTemp("", "troupe-tests-")
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

var built bool

// Command is the executable with arguments, in an environment that gives no settings: TROUPE_CI and TROUPE_FULL are the
// tests' own.
func Command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, args...)
	c.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "TROUPE_") })
	return c
}

// Main runs a package's tests and removes the executable that they built.
func Main(m *testing.M) {
	code := m.Run()
	if built {
		if path, err := Executable(); err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
	}
	os.Exit(code)
}

// Broker is one process on a fixed address and data directory.
type Broker struct {
	Addr string // HOST:PORT for Kafka clients
	HTTP string // HOST:PORT for operators, of the process that runs
	Data string // the data directory

	t       *testing.T
	args    []string
	through []string // the command that runs the process in its network namespace, if it has one
	cmd     *exec.Cmd
	out     *bufio.Reader // what the process says
	log     *os.File
}

// New prepares a broker on a free port, with more arguments for "troupe server"; Start runs it. It is killed when the test
// ends, and a test that failed shows the end of its log.
func New(t *testing.T, data string, args ...string) *Broker {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{t: t, Data: data, Addr: freeAddr(t), args: args, log: log}
	t.Cleanup(func() {
		b.Kill()
		log.Close()
		if t.Failed() {
			text := b.Log()
			t.Logf("the broker's log:\n%s", text[max(0, len(text)-6000):])
		}
	})
	return b
}

// freeAddr finds a port that nobody listens at. It lies below those that the kernel gives to clients: theirs would be taken
// by one while the broker is down.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(22000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port below 32000 is free on 127.0.0.1")
	return ""
}

// Start runs the process and waits for its ready line; it says how long that took.
func (b *Broker) Start() time.Duration {
	b.t.Helper()
	began := time.Now()
	b.begin()
	b.awaitReady()
	return time.Since(began)
}

// begin runs the process.
func (b *Broker) begin() {
	b.t.Helper()
	args := append([]string{"server", "--data", b.Data, "--listeners", "PLAINTEXT://" + b.Addr, "--http", "127.0.0.1:0"}, b.args...)
	b.cmd = Command(b.t, args...)
	if len(b.through) > 0 {
		env := b.cmd.Env
		b.cmd = exec.Command(b.through[0], append(b.through[1:], b.cmd.Args...)...)
		b.cmd.Env = env
	}
	b.cmd.Stderr = b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := b.cmd.StdoutPipe()
	if err == nil {
		b.out = bufio.NewReader(out)
		err = b.cmd.Start()
	}
	if err != nil {
		b.cmd = nil
		b.t.Fatal(err)
	}
}

// awaitReady waits for the ready line, and not longer than any start should take.
func (b *Broker) awaitReady() {
	b.t.Helper()
	late := time.AfterFunc(time.Minute, func() { b.cmd.Process.Kill() })
	line, err := b.out.ReadString('\n')
	late.Stop()
	var kafka string
	if _, wrong := fmt.Sscanf(line, "ready kafka=%s http=%s", &kafka, &b.HTTP); err != nil || wrong != nil {
		b.t.Fatalf("the broker did not get ready within a minute: %q, %v", line, err)
	}
}

// Signal sends the process a signal.
func (b *Broker) Signal(s os.Signal) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(s); err != nil {
		b.t.Fatal(err)
	}
}

// Runs says whether there is a process that was not seen to end.
func (b *Broker) Runs() bool { return b.cmd != nil }

// Wait waits for the process to end by itself, and returns its exit code; -1 if a signal ended it.
func (b *Broker) Wait() int {
	b.cmd.Wait()
	code := b.cmd.ProcessState.ExitCode()
	b.cmd = nil
	return code
}

// BytesRead is how much the process has read so far, of files and sockets.
func (b *Broker) BytesRead() (n int64) {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", b.cmd.Process.Pid))
	if err == nil {
		_, err = fmt.Sscanf(string(text), "rchar: %d", &n)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// Kill ends the process as kill -9 does.
func (b *Broker) Kill() {
	if b.cmd == nil {
		return
	}
	b.cmd.Process.Kill()
	b.cmd.Wait()
	b.cmd = nil
}

// Log is what all processes of this broker have written to their standard error.
func (b *Broker) Log() string {
	text, _ := os.ReadFile(b.log.Name())
	return string(text)
}
