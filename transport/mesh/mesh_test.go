package mesh

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// town is a node in a test: a mesh and what arrived.
type town struct {
	*Mesh
	o    Options
	mu   sync.Mutex
	got  []stage.Letter
	down []message.NodeID
	gate atomic.Pointer[func(stage.Letter)] // before a letter is taken
	idle bool                               // letters are not kept
}

func options(cluster string, n message.NodeID, join ...string) Options {
	return Options{Node: n, Cluster: cluster, Listen: "127.0.0.1:0", Join: join, Secret: "between us"}
}

// listening is the options of a node and what it logs.
func listening(cluster string, n message.NodeID, join ...string) (Options, *syncBuilder) {
	log := new(syncBuilder)
	o := options(cluster, n, join...)
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	return o, log
}

func open(t testing.TB, o Options) *town {
	t.Helper()
	w := &town{}
	rand.Read(o.Incarnation[:])
	o.Receive = w.receive
	o.PeerDown = func(n message.NodeID) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.down = append(w.down, n)
	}
	var err error
	if w.Mesh, err = Open(o); err != nil {
		t.Fatal(err)
	}
	w.o = o
	t.Cleanup(func() { w.Close() })
	return w
}

func (w *town) receive(l stage.Letter) {
	if gate := w.gate.Load(); gate != nil {
		(*gate)(l)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.idle {
		w.got = append(w.got, l)
	}
}

// guard has a function called before each letter is taken.
func (w *town) guard(gate func(stage.Letter)) { w.gate.Store(&gate) }

func (w *town) letters() []stage.Letter {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got)
}

func (w *town) downs() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.down)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after 15 s: %s", what)
		}
	}
}

func linked(t testing.TB, towns ...*town) {
	t.Helper()
	for _, w := range towns {
		eventually(t, fmt.Sprintf("node %d is linked to the %d others", w.o.Node, len(towns)-1), func() bool { return len(w.Peers()) == len(towns)-1 })
	}
}

func pair(t testing.TB) (a, b *town) {
	a = open(t, options("pair", 1))
	b = open(t, options("pair", 2, a.Addr()))
	linked(t, a, b)
	return a, b
}

// pulled is a letter on the bulk lane, pull one on the control lane.
func pulled(from, to *town, number uint64, bytes int) stage.Letter {
	batches := make([]byte, bytes)
	for i := range batches {
		batches[i] = byte(uint64(i)*7 + number)
	}
	return stage.Letter{From: message.BrokerAt(from.o.Node), To: message.BrokerAt(to.o.Node), Kind: stage.LetterAnswer, Request: number, Word: &message.Pulled{Batches: batches}}
}

func pull(from, to *town, number uint64) stage.Letter {
	at := message.PartitionID{Topic: message.TopicID{1}, Index: int32(number)}
	return stage.Letter{From: message.PartitionAt(from.o.Node, at), To: message.PartitionAt(to.o.Node, at), Kind: stage.LetterWord, Request: number, Word: &message.Pull{End: int64(number)}}
}

func TestEachLaneKeepsItsOrder(t *testing.T) {
	a, b := pair(t)
	const n = 3000
	for i := uint64(1); i <= n; i++ {
		a.Send(pull(a, b, i))
		a.Send(pulled(a, b, i, 1+int(i*37%5000)))
	}
	eventually(t, "all letters have come", func() bool { return len(b.letters()) == 2*n })
	var pulls, pulleds uint64
	for _, l := range b.letters() {
		switch w := l.Word.(type) {
		case *message.Pull:
			if pulls++; l != pull2(pull(a, b, pulls), l) || w.End != int64(pulls) {
				t.Fatalf("letter %d of the control lane is %v with %+v", pulls, l, w)
			}
		case *message.Pulled:
			if pulleds++; l.Request != pulleds || !slices.Equal(w.Batches, pulled(a, b, pulleds, 1+int(pulleds*37%5000)).Word.(*message.Pulled).Batches) {
				t.Fatalf("letter %d of the bulk lane has number %d", pulleds, l.Request)
			}
		}
	}
	if got := a.Counts().Resets + b.Counts().Resets; got != 0 || a.downs() != 0 {
		t.Fatalf("%d resets, %d peers down", got, a.downs())
	}
}

// pull2 is a letter with another's word, so that the rest can be compared.
func pull2(l, other stage.Letter) stage.Letter {
	l.Word = other.Word
	return l
}

func TestBigLettersCrossWhole(t *testing.T) {
	a, b := pair(t)
	for i, size := range []int{1, 32 << 10, 100_001, 1 << 20, 20 << 20} {
		a.Send(pulled(a, b, uint64(i), size))
	}
	eventually(t, "all have come", func() bool { return len(b.letters()) == 5 })
	for i, size := range []int{1, 32 << 10, 100_001, 1 << 20, 20 << 20} {
		if got := b.letters()[i].Word.(*message.Pulled).Batches; !slices.Equal(got, pulled(a, b, uint64(i), size).Word.(*message.Pulled).Batches) {
			t.Errorf("letter %d of %d bytes is not what was sent", i, size)
		}
	}
}

func TestASoundMeshComplainsOfNothing(t *testing.T) {
	oa, log := listening("quiet", 1)
	a := open(t, oa)
	ob := options("quiet", 2, a.Addr())
	ob.Log = oa.Log
	linked(t, a, open(t, ob))
	if strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "level=ERROR") {
		t.Error(log.String())
	}
}

func TestThreeFindEachOtherThroughOne(t *testing.T) {
	a := open(t, options("three", 1))
	b, c := open(t, options("three", 2, a.Addr())), open(t, options("three", 3, a.Addr()))
	linked(t, a, b, c)
	b.Send(pull(b, c, 7))
	eventually(t, "node 3 hears node 2, which it was told of by node 1", func() bool { return len(c.letters()) == 1 })
}

func TestAPeerThatGoesAndComesBackIsResetOnce(t *testing.T) {
	a, b := pair(t)
	b.Close()
	eventually(t, "the loss is told", func() bool { return a.downs() == 1 })
	if got := a.Peers(); len(got) != 0 {
		t.Fatalf("peers %v", got)
	}
	again := options("pair", 2, a.Addr())
	again.Listen = b.o.Listen
	b = open(t, again)
	linked(t, a, b)
	a.Send(pull(a, b, 1))
	b.Send(pull(b, a, 2))
	eventually(t, "letters go both ways", func() bool { return len(a.letters()) == 1 && len(b.letters()) == 1 })
	if a.downs() != 1 || b.downs() != 0 {
		t.Fatalf("told %d and %d times", a.downs(), b.downs())
	}
}

func TestWhoSendsToNobodyIsTold(t *testing.T) {
	a := open(t, options("alone", 1))
	stranger := &town{o: Options{Node: 9}}
	a.Send(pull(a, stranger, 1))
	eventually(t, "the loss is told", func() bool { return a.downs() == 1 && a.down[0] == 9 })
	a.Send(pull(a, stranger, 1))
	eventually(t, "and the next one", func() bool { return a.downs() == 2 })
}

func TestASlowReceiverIsResetAndNothingIsLostInSilence(t *testing.T) {
	oa := options("slow", 1)
	oa.Limits.Queue[message.Bulk], oa.Limits.Window[message.Bulk] = 4<<20, 1<<20
	a := open(t, oa)
	ob := options("slow", 2, a.Addr())
	ob.Limits = oa.Limits
	b := open(t, ob)
	linked(t, a, b)
	hold := make(chan struct{})
	b.guard(func(l stage.Letter) {
		if message.LaneOf(l.Word) == message.Bulk {
			<-hold
		}
	})
	sent := uint64(0)
	for a.downs() == 0 && sent < 1000 {
		sent++
		a.Send(pulled(a, b, sent, 100<<10))
		time.Sleep(100 * time.Microsecond)
	}
	if a.downs() == 0 || sent < 40 || sent > 80 {
		t.Fatalf("told %d times after %d letters of 100 KiB, with 1 MiB under way and 4 MiB waiting", a.downs(), sent)
	}
	time.Sleep(200 * time.Millisecond)
	if got := a.Peers(); len(got) != 0 {
		t.Fatal("the link came up over a lane that nobody reads")
	}
	close(hold)
	linked(t, a, b)
	early := len(b.letters())
	a.Send(pulled(a, b, sent+1, 10))
	eventually(t, "the next session's letter comes", func() bool { return len(b.letters()) > early })
	for i, l := range b.letters()[:early] {
		if l.Request != uint64(i+1) {
			t.Fatalf("letter %d came in place %d: there is a gap", l.Request, i+1)
		}
	}
	if last := b.letters()[early]; last.Request != sent+1 {
		t.Fatalf("the next session begins with letter %d and not with %d", last.Request, sent+1)
	}
}

func TestTwoClustersDoNotTouch(t *testing.T) {
	a1 := open(t, options("red", 1))
	b1 := open(t, options("blue", 1, a1.Addr())) // by mistake
	a2 := open(t, options("red", 2, a1.Addr()))
	b2 := open(t, options("blue", 2, b1.Addr(), a1.Addr()))
	linked(t, a1, a2)
	linked(t, b1, b2)
	a1.Send(pull(a1, a2, 1))
	b1.Send(pull(b1, b2, 2))
	eventually(t, "each has its own", func() bool { return len(a2.letters()) == 1 && len(b2.letters()) == 1 })
	if a2.letters()[0].Request != 1 || b2.letters()[0].Request != 2 {
		t.Fatal("they were exchanged")
	}
}

func TestGoroutinesAndDescriptorsReturnToTheStart(t *testing.T) {
	pairOnce := func() {
		a := open(t, options("leak", 1))
		b := open(t, options("leak", 2, a.Addr()))
		linked(t, a, b)
		a.Close()
		b.Close()
	}
	pairOnce() // what the runtime opens once and keeps
	descriptors, routines := descriptorsOpen(t), goleak.IgnoreCurrent()
	for range 3 {
		pairOnce()
	}
	goleak.VerifyNone(t, routines)
	if now := descriptorsOpen(t); now > descriptors {
		t.Errorf("%d descriptors before, %d after", descriptors, now)
	}
}

// descriptorsOpen is how many descriptors the process has.
func descriptorsOpen(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	return len(entries)
}

func TestAWrongSecretStaysOutside(t *testing.T) {
	oa, log := listening("secret", 1)
	a := open(t, oa)
	o := options("secret", 2, a.Addr())
	o.Secret = "guessed"
	b := open(t, o)
	eventually(t, "the refusal is logged", func() bool { return strings.Contains(log.String(), "nats: ") })
	if len(a.Peers())+len(b.Peers()) != 0 || a.server.NumRoutes() != 0 {
		t.Fatal("it was let in")
	}
}

type syncBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuilder) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuilder) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
