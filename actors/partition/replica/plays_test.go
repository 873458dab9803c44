package replica

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/troupe-broker/troupe/actors/message"
)

// TestPlays tells the replica of node 1 what happens, line by line, and shows what it decides. A file's name is its
// claim; go test -rewrite writes the answers anew.
//
//	office leader=1 epoch=1 [partition-epoch=0] [isr=1,2] [min=1] [durability=replicated]
//	open end=0 [synced=0] | append end=10 | now | synced end=10 | admit acks=-1
//	pull from=2 epoch=1 appended=10 synced=0
func TestPlays(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := scene{last: unknown}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var answers strings.Builder
			for _, line := range strings.Split(d.Input, "\n") {
				fmt.Fprintf(&answers, "%-44s %s\n", line, s.play(t, strings.Fields(line)))
			}
			return answers.String()
		})
	})
}

type scene struct {
	r      Replica
	raised bool
	last   int64 // high watermark
}

func (s *scene) play(t *testing.T, words []string) string {
	arg := arguments(words[1:])
	var out Out
	switch words[0] {
	case "office":
		office := arg.office()
		if !s.raised {
			s.r, s.raised = New(1, office), true
			return "raised"
		}
		out = s.r.Lead(office)
	case "open":
		out = s.r.Opened(arg.number("end", 0), arg.number("synced", 0))
	case "append":
		out = s.r.Appended(arg.number("end", 0))
	case "now":
		out = s.r.Now()
	case "synced":
		out = s.r.Synced(arg.number("end", 0))
	case "pull":
		out = s.r.Pull(message.NodeID(arg.number("from", 0)), int32(arg.number("epoch", 0)), arg.number("appended", 0), arg.number("synced", 0))
	case "admit":
		return fmt.Sprintf("code %d", s.r.Admit(int16(arg.number("acks", 0))))
	default:
		t.Fatalf("no such line: %v", words)
	}
	if out.HighWatermark < s.last {
		t.Fatalf("%v: the high watermark fell from %d to %d", words, s.last, out.HighWatermark)
	}
	s.last = out.HighWatermark
	return out.String()
}

// String is how a play shows a decision.
func (o Out) String() string {
	s := fmt.Sprintf("durable %d, high watermark %d", o.Durable, o.HighWatermark)
	for _, flag := range []struct {
		on   bool
		name string
	}{{o.Moved, "moved"}, {o.Changed, "changed"}, {o.Flush, "flush"}, {o.Journal, "journal"}} {
		if flag.on {
			s += ", " + flag.name
		}
	}
	if o.Code != message.OK {
		s += fmt.Sprintf(", code %d", o.Code)
	}
	return s
}

type args map[string]string

func arguments(words []string) args {
	a := args{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		a[name] = value
	}
	return a
}

func (a args) number(name string, otherwise int64) int64 {
	if a[name] == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(a[name], 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (a args) office() *message.Leadership {
	o := &message.Leadership{Leader: message.NodeID(a.number("leader", 1)), LeaderEpoch: int32(a.number("epoch", 0)),
		PartitionEpoch: int32(a.number("partition-epoch", 0)), Replicas: []message.NodeID{1, 2, 3}}
	for _, n := range strings.Split(a["isr"], ",") {
		if id, err := strconv.Atoi(n); err == nil {
			o.ISR = append(o.ISR, message.NodeID(id))
		}
	}
	o.Config.MinInsyncReplicas = int32(a.number("min", 1))
	o.Config.Fsync = a["durability"] != "replicated"
	return o
}
