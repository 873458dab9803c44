package exchange

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/tests/broker"
)

// run runs a program to its end and returns what it wrote.
func run(t *testing.T, in, path string, args ...string) []byte {
	t.Helper()
	return finish(t, in, exec.Command(path, args...))
}

func finish(t *testing.T, in string, c *exec.Cmd) []byte {
	t.Helper()
	var out, problems bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(in), &out, &problems
	if err := c.Run(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(c.Args, " "), err, problems.String())
	}
	return out.Bytes()
}

// null is how lines spell null.
const null = "NULL"

// lines spell records as "KEY:VALUE", or "VALUE" without a key.
func lines(records []record) string {
	var s strings.Builder
	for _, r := range records {
		if r.key != nil {
			s.WriteString(*r.key + ":")
		}
		if r.value == nil {
			s.WriteString(null)
		} else {
			s.WriteString(*r.value)
		}
		s.WriteByte('\n')
	}
	return s.String()
}

// eachLine decodes a JSON object a line.
func eachLine[R any](t *testing.T, out []byte, each func(R)) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var r R
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		each(r)
	}
}

// troupe is our own command.
type troupe struct{}

func (troupe) name() string { return "troupe" }

func (troupe) run(t *testing.T, in string, args ...string) []byte {
	t.Helper()
	return finish(t, in, broker.Command(t, args...))
}

func (p troupe) produce(t *testing.T, b *broker.Broker, codec string, records []record) {
	p.run(t, lines(records), "produce", topic, "--bootstrap", b.Addr, "--partition", "0", "--compression", codec,
		"--key-separator", ":", "--null", null, "--header", "from="+records[0].header)
}

func (p troupe) consume(t *testing.T, b *broker.Broker, _ int) (all []record) {
	type line struct {
		Key, Value *string
		Headers    []struct{ Name, Value string }
	}
	out := p.run(t, "", "consume", topic, "--bootstrap", b.Addr, "--from", "start", "--until-end", "--format", "json")
	eachLine(t, out, func(l line) { all = append(all, record{l.Key, l.Value, l.Headers[0].Value}) })
	return all
}

// kcat is a program on librdkafka, of the 2.0 line in most distributions.
type kcat struct{ path string }

func newKcat(t *testing.T) kcat {
	path, err := exec.LookPath("kcat")
	broker.Need(t, err != nil, "kcat is missing: apt-get install kcat")
	return kcat{path}
}

func (kcat) name() string { return "kcat" }

// produce runs kcat twice: a value that is null needs -Z, which makes null of every empty one.
func (k kcat) produce(t *testing.T, b *broker.Broker, codec string, records []record) {
	flags := []string{"-P", "-b", b.Addr, "-t", topic, "-p", "0", "-z", codec, "-H", "from=" + records[0].header,
		"-K", ":", "-X", "message.max.bytes=" + messageBytesMax}
	last := len(records) - 1
	run(t, lines(records[:last]), k.path, flags...)
	run(t, *records[last].key+":\n", k.path, append(flags, "-Z")...)
}

func (k kcat) consume(t *testing.T, b *broker.Broker, _ int) (all []record) {
	type line struct {
		Key, Payload *string
		Headers      []string
	}
	out := run(t, "", k.path, "-C", "-b", b.Addr, "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-J")
	eachLine(t, out, func(l line) { all = append(all, record{l.Key, l.Payload, l.Headers[1]}) })
	return all
}

// console are Kafka's own console producer and consumer.
type console struct{ bin string }

func newConsole(t *testing.T) console {
	_, err := exec.LookPath("java")
	broker.Need(t, err != nil, "java is missing: apt-get install openjdk-17-jre-headless")
	bin := kafkaTools()
	broker.Need(t, bin == "", "Kafka's tools are missing: run java-tools of the client suites once, which puts them into ~/.cache/troupe-suites")
	return console{bin}
}

func (console) name() string { return "console" }

func (c console) produce(t *testing.T, b *broker.Broker, codec string, records []record) {
	var in strings.Builder
	for _, r := range records {
		in.WriteString("from/" + r.header + "|")
		if r.key == nil {
			in.WriteString(null + ":" + *r.value + "\n")
		} else {
			in.WriteString(lines([]record{r}))
		}
	}
	run(t, in.String(), c.bin+"/kafka-console-producer.sh", "--bootstrap-server", b.Addr, "--topic", topic, "--compression-codec", codec,
		"--command-property", "max.request.size="+messageBytesMax, "--command-property", "delivery.timeout.ms=30000",
		"--reader-property", "parse.key=true", "--reader-property", "key.separator=:", "--reader-property", "parse.headers=true",
		"--reader-property", "headers.delimiter=|", "--reader-property", "headers.key.separator=/", "--reader-property", "null.marker="+null)
}

func (c console) consume(t *testing.T, b *broker.Broker, n int) (all []record) {
	out := run(t, "", c.bin+"/kafka-console-consumer.sh", "--bootstrap-server", b.Addr, "--topic", topic, "--partition", "0", "--offset", "earliest",
		"--max-messages", strconv.Itoa(n), "--timeout-ms", "20000", "--formatter-property", "print.headers=true", "--formatter-property", "print.key=true",
		"--formatter-property", "key.separator=\x02", "--formatter-property", "headers.separator=,", "--formatter-property", "null.literal="+null)
	for line := range strings.Lines(string(out)) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\x02")
		if len(parts) != 3 {
			t.Fatalf("the console consumer wrote %.100q", line)
		}
		all = append(all, record{orNull(parts[1]), orNull(parts[2]), strings.TrimPrefix(parts[0], "from:")})
	}
	return all
}

func orNull(s string) *string {
	if s == null {
		return nil
	}
	return &s
}
