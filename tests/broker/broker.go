// Package broker runs the real binary for the tests beside it: on loopback, on a port and in a data directory that the test
// chooses, started and killed as often as the test likes. It stops only what it started.
package broker

import (
	"bufio"
	"fmt"
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

	t    *testing.T
	args []string
	cmd  *exec.Cmd
	log  *os.File
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

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Start runs the process and waits for its ready line; it says how long that took.
func (b *Broker) Start() time.Duration {
	b.t.Helper()
	args := append([]string{"server", "--data", b.Data, "--listeners", "PLAINTEXT://" + b.Addr, "--http", "127.0.0.1:0"}, b.args...)
	b.cmd = Command(b.t, args...)
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
	took := time.Since(began)
	var kafka string
	if _, wrong := fmt.Sscanf(line, "ready kafka=%s http=%s", &kafka, &b.HTTP); err != nil || wrong != nil {
		b.t.Fatalf("the broker did not get ready: %q, %v", line, err)
	}
	return took
}

// Signal sends the process a signal.
func (b *Broker) Signal(s os.Signal) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(s); err != nil {
		b.t.Fatal(err)
	}
}

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
