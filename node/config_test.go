package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/message/setting"
)

func TestSourcesOverrideEachOther(t *testing.T) {
	file := filepath.Join(t.TempDir(), "troupe.yaml")
	content := "num.partitions: 2\nlog:\n  retention:\n    hours: 3\n  segment.bytes: 2000\nlisteners: [PLAINTEXT://:1, INSIDE://:2]\nlistener.security.protocol.map: INSIDE:PLAINTEXT\nnode.id: 7\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Sources{File: file, Env: []string{"TROUPE_LOG_SEGMENT_BYTES=3000", "TROUPE_NODE_ID=8", "TROUPE_START=x"},
		Set: []string{"node.id=9"}, Own: map[string]string{"log.dirs": "/d"}})
	if err != nil {
		t.Fatal(err)
	}
	l := c.Layers()
	if l.Number("num.partitions") != 2 || l.Number("log.retention.hours") != 3 || l.Number("log.segment.bytes") != 3000 || c.ID != 9 || c.Data != "/d" {
		t.Errorf("%+v", c)
	}
	if len(c.Listeners) != 2 || c.Listeners[1].Name != "INSIDE" || c.Listeners[1].Address != ":2" {
		t.Errorf("listeners: %+v", c.Listeners)
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "TROUPE_START") {
		t.Errorf("notes: %q", c.Notes)
	}
}

// A server.properties as Kafka 4 ships it starts Troupe.
func TestKafkasOwnFileIsUnderstood(t *testing.T) {
	c, err := Load(Sources{File: "testdata/server.properties"})
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != 1 || c.Data != "/tmp/kraft-combined-logs" || len(c.Listeners) != 1 || c.Listeners[0].Address != ":9092" || c.Listeners[0].Advertised.Host != "localhost" {
		t.Errorf("%+v", c)
	}
	for _, s := range setting.All(setting.OfBroker) {
		if v, ok := c.Values.Get(s.Name); ok && v == "" && s.Null {
			t.Errorf("%s is kept though it is empty", s.Name)
		}
	}
}

func TestRefusalsNameTheSettingAndTheRemedy(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"log.retention.hour=1", "there is no setting log.retention.hour: is log.retention.hours meant?"},
		{"num.partitions=0", "Invalid value 0 for configuration num.partitions: Value must be at least 1"},
		{"listeners=localhost:9092", `listeners: "localhost:9092" is not like NAME://HOST:PORT, as in PLAINTEXT://localhost:9092`},
		{"listeners=A://:1", "listeners names A, and listener.security.protocol.map does not say what it speaks: add A:PLAINTEXT there"},
		{"listeners=SSL://:1", "the listener SSL speaks SSL, which is not there yet: use PLAINTEXT"},
		{"listeners=PLAINTEXT://:1,PLAINTEXT://:2", "listeners names PLAINTEXT twice: give each listener its own name"},
		{"advertised.listeners=OUT://:1", "advertised.listeners names OUT, which is not in listeners: add it there or take it out"},
		{"advertised.listeners=PLAINTEXT://0.0.0.0:1", "advertised.listeners: clients cannot connect to 0.0.0.0: name an address, or leave advertised.listeners out"},
		{"log.dirs=/a,/b", "log.dirs=/a,/b: Troupe keeps its data in one directory: name one"},
		{"authorizer.class.name=x", "authorizer.class.name=x: there is no access control yet: leave it empty"},
		{"node.id=-1", "node.id=-1: a node is given its number by the cluster that it joins: name nodes of that in --join, or give this one a number, 0 or more"},
		{"nonsense", "--set nonsense: write --set name=value"},
	} {
		if _, err := Load(Sources{Set: []string{c.set}}); err == nil || err.Error() != c.want {
			t.Errorf("%s:\ngot  %v\nwant %s", c.set, err, c.want)
		}
	}
}

func FuzzReadYAML(f *testing.F) {
	f.Add([]byte("a: b\nc: {d: [1, 2]}\n"))
	f.Add([]byte("- 1"))
	f.Add([]byte("&a a: *a"))
	f.Fuzz(func(t *testing.T, content []byte) {
		given := map[string]string{}
		if readYAML(content, given) == nil {
			_, _ = NewConfig(given)
		}
	})
}

func FuzzReadProperties(f *testing.F) {
	f.Add([]byte("a=b\n# c\nd=${e}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		given := map[string]string{}
		if readProperties(content, given) == nil {
			_, _ = NewConfig(given)
		}
	})
}
