package network

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// peer writes down what it hears.
type peer struct {
	letters []stage.Letter
	downs   []message.NodeID
}

func (p *peer) Receive(l stage.Letter)    { p.letters = append(p.letters, l) }
func (p *peer) PeerDown(n message.NodeID) { p.downs = append(p.downs, n) }

// pairOf is a mesh of two nodes that have found each other.
type pairOf struct {
	*Mesh
	time  *stage.Scheduler
	one   *Port
	peers [3]*peer // 1 and 2
}

func newPair(seed uint64, o MeshOptions) *pairOf {
	p := &pairOf{time: stage.NewScheduler(seed, time.Unix(0, 0)), peers: [3]*peer{nil, {}, {}}}
	p.Mesh = NewMesh(p.time, seed, o)
	p.one = p.Port(1)
	p.one.Join(p.peers[1])
	p.Port(2).Join(p.peers[2])
	p.time.RunFor(100 * time.Millisecond)
	return p
}

// pull sends a word of the control lane from node 1 to node 2, numbered.
func (p *pairOf) pull(number int64) {
	id := message.PartitionID{Topic: message.TopicID{1}}
	p.one.Send(stage.Letter{From: message.PartitionAt(1, id), To: message.PartitionAt(2, id), Kind: stage.LetterWord, Word: &message.Pull{End: number}})
}

// bring sends a word of the bulk lane, with that many bytes.
func (p *pairOf) bring(number int64, bytes int) {
	id := message.PartitionID{Topic: message.TopicID{1}}
	p.one.Send(stage.Letter{From: message.PartitionAt(1, id), To: message.PartitionAt(2, id), Kind: stage.LetterAnswer, Request: 1,
		Word: &message.Pulled{HighWatermark: number, Batches: make([]byte, bytes)}})
}

// heard are the numbers that node 2 has received, by lane.
func (p *pairOf) heard() (control, bulk []int64) {
	for _, l := range p.peers[2].letters {
		switch w := l.Word.(type) {
		case *message.Pull:
			control = append(control, w.End)
		case *message.Pulled:
			bulk = append(bulk, w.HighWatermark)
		}
	}
	return control, bulk
}

func inOrder(t *testing.T, what string, got []int64, want int) {
	t.Helper()
	if len(got) != want {
		t.Fatalf("%s: %d of %d letters arrived", what, len(got), want)
	}
	for i, n := range got {
		if n != int64(i) {
			t.Fatalf("%s: letter %d came in place %d", what, n, i)
		}
	}
}

func TestALaneKeepsItsOrder(t *testing.T) {
	for seed := range uint64(20) {
		p := newPair(seed, MeshOptions{Credits: 3000})
		for i := range int64(50) {
			p.pull(i)
			p.bring(i, 1000)
		}
		p.time.RunFor(time.Second)
		control, bulk := p.heard()
		inOrder(t, "control", control, 50)
		inOrder(t, "bulk", bulk, 50)
	}
}

func TestAShortCutIsOnlyLate(t *testing.T) {
	p := newPair(1, MeshOptions{})
	p.Link(1, 2).Sever()
	for i := range int64(10) {
		p.pull(i)
	}
	p.time.RunFor(100 * time.Millisecond)
	if control, _ := p.heard(); len(control) != 0 {
		t.Fatalf("%d letters came through a cut", len(control))
	}
	p.Heal()
	p.time.RunFor(time.Second)
	control, _ := p.heard()
	inOrder(t, "control", control, 10)
	if len(p.peers[1].downs)+len(p.peers[2].downs) != 0 {
		t.Error("a peer was given up")
	}
}

// What is under way is lost with a reset and never without: both nodes hear of it once, and nothing from before comes behind it.
func TestALongCutResets(t *testing.T) {
	for _, cut := range []func(*Link){(*Link).Sever, func(l *Link) { l.Cut(1) }, func(l *Link) { l.Cut(2) }} {
		p := newPair(1, MeshOptions{})
		cut(p.Link(1, 2))
		p.pull(99)
		p.time.RunFor(2 * time.Second)
		if len(p.peers[1].downs) != 1 || len(p.peers[2].downs) != 1 {
			t.Fatalf("heard of it: %v and %v", p.peers[1].downs, p.peers[2].downs)
		}
		p.Heal()
		p.time.RunFor(time.Second)
		p.peers[2].letters = nil
		p.pull(0)
		p.time.RunFor(time.Second)
		control, _ := p.heard()
		inOrder(t, "control", control, 1)
	}
}

func TestWhatCannotBeSentIsToldToItsSender(t *testing.T) {
	p := newPair(1, MeshOptions{})
	p.Leave(2, false)
	p.time.RunFor(time.Second)
	p.peers[1].downs = nil
	p.pull(0)
	p.pull(1)
	p.time.RunFor(time.Second)
	if len(p.peers[1].downs) != 1 {
		t.Errorf("node 1 heard %d times that node 2 is down", len(p.peers[1].downs))
	}
}

func TestAMachineWithoutPowerIsGivenUpLater(t *testing.T) {
	p := newPair(1, MeshOptions{})
	p.Leave(2, true)
	p.time.RunFor(150 * time.Millisecond)
	if len(p.peers[1].downs) != 0 {
		t.Fatal("node 1 knows already")
	}
	p.time.RunFor(time.Second)
	if len(p.peers[1].downs) != 1 {
		t.Fatalf("node 1 heard %d times of it", len(p.peers[1].downs))
	}
	again := &peer{}
	p.Port(2).Join(again)
	p.time.RunFor(time.Second)
	p.pull(0)
	p.time.RunFor(time.Second)
	if len(again.letters) != 1 {
		t.Errorf("the next incarnation has received %d letters", len(again.letters))
	}
}

// Who takes nothing gets no more than its credits, and then the connection is reset: nothing is lost without a word.
func TestASlowPeerIsReset(t *testing.T) {
	p := newPair(1, MeshOptions{Credits: 5000, Queue: 20_000})
	p.Link(1, 2).Clog(1)
	for i := range int64(10) {
		p.bring(i, 1000)
		p.pull(i)
	}
	p.time.RunFor(5 * time.Second)
	control, bulk := p.heard()
	inOrder(t, "control, which is not clogged", control, 10)
	if len(bulk) != 0 || len(p.peers[1].downs) != 0 {
		t.Fatalf("%d letters came, and node 1 heard %v", len(bulk), p.peers[1].downs)
	}
	if flying := p.Link(1, 2).ways[0].lanes[message.Bulk].flying; flying > 5000 {
		t.Errorf("%d bytes are under way for 5000 credits", flying)
	}
	for i := range int64(20) {
		p.bring(i, 1000)
	}
	p.time.RunFor(time.Second)
	if len(p.peers[1].downs) != 1 || len(p.peers[2].downs) != 1 {
		t.Errorf("heard of the reset: %v and %v", p.peers[1].downs, p.peers[2].downs)
	}
}

// A connection that only one end has lost is told of to the other when it has been silent for too long; what that sent meanwhile is lost.
func TestAHalfOpenConnectionIsFoundByItsSilence(t *testing.T) {
	p := newPair(1, MeshOptions{})
	p.Link(1, 2).HalfOpen(2)
	p.pull(99)
	p.time.RunFor(150 * time.Millisecond)
	if len(p.peers[1].downs) != 0 || len(p.peers[2].downs) != 1 {
		t.Fatalf("after 150 ms node 1 has heard %v and node 2 %v", p.peers[1].downs, p.peers[2].downs)
	}
	p.time.RunFor(time.Second)
	p.pull(0)
	p.time.RunFor(time.Second)
	control, _ := p.heard()
	inOrder(t, "control", control, 1)
	if len(p.peers[1].downs) != 1 || len(p.peers[2].downs) != 1 {
		t.Errorf("heard of it: %v and %v", p.peers[1].downs, p.peers[2].downs)
	}
}

func TestWithoutCreditsNothingMoreIsSent(t *testing.T) {
	p := newPair(1, MeshOptions{Credits: 5000})
	p.Link(1, 2).Starve(1)
	for i := range int64(20) {
		p.bring(i, 1000)
	}
	p.time.RunFor(time.Second)
	if _, bulk := p.heard(); len(bulk) == 0 || len(bulk) > 5 {
		t.Fatalf("%d letters came for 5000 credits", len(bulk))
	}
	p.Heal()
	p.time.RunFor(time.Second)
	_, bulk := p.heard()
	inOrder(t, "bulk", bulk, 20)
}

func TestJitterKeepsTheOrder(t *testing.T) {
	p := newPair(1, MeshOptions{})
	p.Link(1, 2).Jitter(50 * time.Millisecond)
	for i := range int64(50) {
		p.pull(i)
		p.time.RunFor(time.Millisecond)
	}
	p.time.RunFor(time.Second)
	control, _ := p.heard()
	inOrder(t, "control", control, 50)
}
