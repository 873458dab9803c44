package replica

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/troupe-broker/troupe/actors/message"
)

// TestPlays tells the replica of node 1 what happens, line by line, and shows what it decides. A file's name is its
// claim; go test -rewrite writes the answers anew.
//
//	office leader=1 epoch=1 [partition-epoch=0] [isr=1,2] [min=1] [durability=replicated] [throttled=leader,follower]
//	open end=0 [synced=0] | append end=10 | now | synced end=10 | admit acks=-1
//	log 3@0 5@20 start=0 [first=0]                where which epoch begins; without it the log is of one epoch
//	pull from=2 epoch=1 appended=10 synced=0 [last=1] [knows=-1]
//	start from=10 | due node=2 | throttled [node=2] | pass 15s | propose | resigned | refused | unheard | hope isr=1,2 | stuck node=2
//	wants | pulled epoch=1 high=10 | pulled epoch=1 diverging=3 end=20 | pulled epoch=1 code=1 start=30
//	told high=10 | cut end=10
func TestPlays(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := scene{last: unknown, now: time.UnixMilli(1_700_000_000_000)}
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
	now    time.Time
	log    history
}

// lagMax is replica.lag.time.max.ms in plays.
const lagMax = 30 * time.Second

// history is a log of a few epochs, or of one that is whichever is asked for.
type history struct {
	begins       []begin
	start, first int64
	end          int64
}

type begin struct {
	epoch int32
	at    int64
}

func (h history) Start() int64 { return h.start }
func (h history) First() int64 { return h.first }

func (h history) EpochEnd(epoch int32) (int32, int64) {
	found, end := int32(-1), int64(-1)
	for _, b := range h.begins {
		if b.epoch > epoch {
			if found >= 0 {
				return found, b.at
			}
			return -1, -1
		}
		found, end = b.epoch, h.end
	}
	if h.begins == nil {
		return epoch, h.end
	}
	return found, end
}

// write makes a history of "3@0 5@20 start=0".
func (s *scene) write(words []string, arg args) string {
	s.log = history{start: arg.number("start", 0)}
	s.log.first = arg.number("first", s.log.start)
	for _, w := range words {
		var b begin
		if n, _ := fmt.Sscanf(w, "%d@%d", &b.epoch, &b.at); n == 2 {
			s.log.begins = append(s.log.begins, b)
		}
	}
	return "written"
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
		out = s.r.Lead(office, s.now)
	case "open":
		out = s.r.Opened(arg.number("end", 0), arg.number("synced", 0), s.now)
	case "append":
		out = s.r.Appended(arg.number("end", 0), s.now)
	case "now":
		out = s.r.Now()
	case "synced":
		out = s.r.Synced(arg.number("end", 0))
	case "pull":
		return s.pull(t, arg)
	case "told":
		out = s.r.Told(arg.number("high", 0))
	case "cut":
		s.last = unknown
		out = s.r.Truncated(arg.number("end", 0))
	case "refused":
		out = s.r.Refused()
	case "log":
		return s.write(words[1:], arg)
	case "pass":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(d)
		return "passed"
	case "start":
		s.r.StartFrom(arg.number("from", 0))
		return fmt.Sprintf("low watermark %d", s.r.LowWatermark())
	case "due":
		return [...]string{"wait", "tell", "bring"}[s.r.Due(message.NodeID(arg.number("node", 0)))]
	case "throttled":
		if n := arg.number("node", 1); n != 1 {
			return fmt.Sprint(s.r.Throttles(message.NodeID(n)))
		}
		return fmt.Sprint(s.r.Throttled())
	case "propose":
		return s.propose()
	case "resigned":
		return fmt.Sprint(s.r.Resigned())
	case "stuck":
		s.r.Stuck(message.NodeID(arg.number("node", 1)))
		return "noted"
	case "unheard":
		s.r.Unheard()
		return "it may yet be granted"
	case "hope":
		o := s.r.Office()
		s.r.Hope(&message.NewISR{LeaderEpoch: o.LeaderEpoch, PartitionEpoch: o.PartitionEpoch, ISR: arg.office().ISR})
		return "hoped"
	case "wants":
		w := s.r.Wants(int32(arg.number("last", -1)), s.log.start, 1<<20)
		return fmt.Sprintf("epoch %d, behind %d of epoch %d, synced %d, knows %d", w.LeaderEpoch, w.End, w.LastEpoch, w.Synced, w.HighWatermark)
	case "pulled":
		return s.pulled(arg)
	case "admit":
		return fmt.Sprintf("code %d", s.r.Admit(int16(arg.number("acks", 0))))
	default:
		t.Fatalf("no such line: %v", words)
	}
	return s.decided(t, out)
}

func (s *scene) decided(t *testing.T, out Out) string {
	t.Helper()
	if out.HighWatermark < s.last {
		t.Fatalf("the high watermark fell from %d to %d", s.last, out.HighWatermark)
	}
	s.last = out.HighWatermark
	return out.String()
}

func (s *scene) pull(t *testing.T, arg args) string {
	s.log.end = s.r.end
	m := &message.Pull{LeaderEpoch: int32(arg.number("epoch", 0)), LastEpoch: int32(arg.number("last", arg.number("epoch", 0))),
		End: arg.number("appended", 0), Synced: arg.number("synced", 0), HighWatermark: arg.number("knows", -1), LogStart: arg.number("start", 0)}
	out, no := s.r.Pull(message.NodeID(arg.number("from", 0)), m, s.log, s.now)
	told := s.decided(t, out)
	switch {
	case no == nil:
	case no.Code == message.OffsetOutOfRange:
		told += fmt.Sprintf(", code %d: begin at %d", no.Code, no.LogStart)
	case no.Code != message.OK:
		told += fmt.Sprintf(", code %d", no.Code)
	default:
		told += fmt.Sprintf(", diverging: epoch %d ends at %d", no.DivergingEpoch, no.DivergingEnd)
	}
	return told
}

func (s *scene) propose() string {
	wish := s.r.Propose(s.now, lagMax)
	if wish == nil {
		return "no other set"
	}
	return fmt.Sprintf("in sync: %v, seen epoch %d/%d", wish.ISR, wish.LeaderEpoch, wish.PartitionEpoch)
}

func (s *scene) pulled(arg args) string {
	s.log.end = s.r.end
	m := &message.Pulled{Code: message.Code(arg.number("code", 0)), LeaderEpoch: int32(arg.number("epoch", 0)), HighWatermark: arg.number("high", -1),
		LogStart: arg.number("start", 0), DivergingEpoch: int32(arg.number("diverging", -1)), DivergingEnd: arg.number("end", -1)}
	step, at := s.r.Pulled(m, s.log)
	switch step {
	case Cut:
		return fmt.Sprintf("cut to %d", at)
	case Begin:
		return fmt.Sprintf("begin at %d", at)
	case Pause:
		return "pause"
	}
	return "copy"
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
		PartitionEpoch: int32(a.number("partition-epoch", 0)), Replicas: []message.NodeID{1, 2, 3}[:a.number("replicas", 3)]}
	for _, n := range strings.Split(a["isr"], ",") {
		if id, err := strconv.Atoi(n); err == nil {
			o.ISR = append(o.ISR, message.NodeID(id))
		}
	}
	o.Config.MinInsyncReplicas = int32(a.number("min", 1))
	o.LeaderThrottled, o.FollowerThrottled = strings.Contains(a["throttled"], "leader"), strings.Contains(a["throttled"], "follower")
	o.Config.Fsync = a["durability"] != "replicated"
	return o
}
