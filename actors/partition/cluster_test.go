package partition

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/budget"
	"github.com/troupe-broker/troupe/actors/disk"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/loan"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// cluster is one partition on several nodes, each with the real disk actor, joined by a toy post, under a toy controller: it elects from
// the in-sync set, grants what a leader asks for if that knows the newest state, and fences who is down.
type cluster struct {
	t      *testing.T
	seed   uint64
	r      *rand.Rand
	world  *stage.Scheduler
	nodes  []*member // node n is at n-1
	office message.Leadership

	rate    [message.Sides]int64                             // of throttled replication; 0 is none
	budgets map[message.NodeID]*[message.Sides]budget.Budget // of each node
	next    int32                                            // the producer's sequence
	pending *pending                                         // what it has not been acknowledged
	tries   int                                              // of that
	acked   map[int64]pending                                // by base offset
}

type member struct {
	id    message.NodeID
	stage *stage.Simulated
	files *vfs.MemoryFS
	lives uint64
	down  bool
	cut   bool // no letter comes or goes
}

func newCluster(t *testing.T, seed uint64, nodes int, change ...func(o *message.Leadership)) *cluster {
	w := &cluster{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 4)), world: stage.NewScheduler(seed, noon), acked: map[int64]pending{}, budgets: map[message.NodeID]*[message.Sides]budget.Budget{}, office: *office()}
	w.office.Replicas, w.office.ISR = nil, nil
	for n := range message.NodeID(nodes) {
		w.nodes = append(w.nodes, &member{id: n + 1, files: vfs.Memory(vfs.MemoryOptions{})})
		w.office.Replicas = append(w.office.Replicas, n+1)
	}
	w.office.ISR = slices.Clone(w.office.Replicas)
	w.office.Config.SegmentBytes, w.office.Config.MinInsyncReplicas = 1<<10, 1
	for _, f := range change {
		f(&w.office)
	}
	for _, m := range w.nodes {
		w.raise(m)
	}
	return w
}

// road is a node's way to the others.
type road struct {
	*cluster
	from *member
	life uint64
}

// Send carries a letter, as bytes, if both ends live. Who writes to nobody hears of it.
func (r road) Send(l stage.Letter) {
	if l.Word != nil {
		b, err := message.AppendWord(loan.Lend(4096), l.Word)
		if m, ok := l.Word.(*message.Pulled); ok {
			clear(m.Lent) // nobody looks at it any more
		}
		if err == nil {
			l.Word, err = message.DecodeWord(b)
		}
		if err != nil {
			r.t.Fatal(err)
		}
		if m, ok := l.Word.(*message.Pulled); ok {
			m.Lent = b
		}
	}
	to := r.nodes[l.To.Node-1]
	life := to.lives
	r.world.After(200*time.Microsecond, func() {
		switch {
		case r.from.lives != r.life || r.from.down:
		case to.down || to.cut || r.from.cut || to.lives != life:
			r.from.stage.PeerDown(to.id)
		default:
			to.stage.Receive(l)
		}
	})
}

// raise starts a node over what is on its disk.
func (w *cluster) raise(m *member) {
	m.lives++
	m.down = false
	w.budgets[m.id] = &[message.Sides]budget.Budget{}
	m.stage = stage.NewSimulated(w.world, stage.Options{Node: m.id, FS: vfs.Cached(m.files, 4), Post: road{w, m, m.lives}}, m.lives)
	m.stage.Spawn(message.DiskAt(m.id), disk.New(disk.Options{FileBytes: 1 << 15, GrowBytes: 1 << 12, Parallel: 1, Interval: 20 * time.Millisecond}))
	m.stage.Spawn(message.BrokerAt(m.id), func() stage.Actor { return &clerk{w} })
	m.stage.Spawn(message.PartitionAt(m.id, here), New(Options{ID: here, Leadership: w.word(), LagMax: time.Second, PullBytes: 512}))
}

// clerk is the way to the controller, and keeps the node's budget of throttled replication.
type clerk struct{ w *cluster }

func (k *clerk) Receive(c stage.Context) {
	b := k.w.budgets[c.Self().Node]
	switch m := c.Message().(type) {
	case *message.AlterPartition:
		c.Answer(c.Caller(), &message.PartitionsAltered{Codes: []message.Code{k.w.alter(m)}})
	case *message.Draw:
		bytes, wait := b[m.Side].Draw(int64(m.Most), cmp.Or(k.w.rate[m.Side], budget.Unlimited), c.Now())
		c.Answer(c.Caller(), &message.Drawn{Side: m.Side, Bytes: int32(bytes), Wait: wait})
	case *message.Spent:
		b[m.Side].Spent(m.Bytes)
	}
}

func (w *cluster) alter(m *message.AlterPartition) message.Code {
	n, fenced := m.Partitions[0], func(n message.NodeID) bool { return w.nodes[n-1].down || w.nodes[n-1].cut }
	switch {
	case fenced(m.Node):
		return message.NotController
	case n.LeaderEpoch != w.office.LeaderEpoch:
		return message.FencedLeaderEpoch
	case n.PartitionEpoch != w.office.PartitionEpoch:
		return message.InvalidUpdateVersion
	case slices.ContainsFunc(n.ISR, fenced):
		return message.IneligibleReplica
	}
	w.office.ISR = slices.Clone(n.ISR)
	w.elect()
	w.announce()
	return message.OK
}

// word is the office as it is now, for one who keeps it.
func (w *cluster) word() *message.Leadership {
	o := w.office
	o.ISR = slices.Clone(o.ISR)
	return &o
}

// announce tells every node that can hear, some time soon.
func (w *cluster) announce() {
	w.office.PartitionEpoch++
	for _, m := range w.nodes {
		w.inform(m, time.Duration(w.r.IntN(2000))*time.Microsecond)
	}
}

func (w *cluster) inform(m *member, in time.Duration) {
	o, life := w.word(), m.lives
	w.world.After(in, func() {
		if m.lives == life && !m.down && !m.cut {
			m.stage.Send(message.PartitionAt(m.id, here), o)
		}
	})
}

// fence takes who cannot be heard out of the in-sync set, but for its last, and elects another leader.
func (w *cluster) fence() {
	gone := func(n message.NodeID) bool { return w.nodes[n-1].down || w.nodes[n-1].cut }
	left := slices.DeleteFunc(slices.Clone(w.office.ISR), gone)
	if len(left) == 0 {
		return
	}
	changed := len(left) != len(w.office.ISR)
	w.office.ISR = left
	if w.elect() || changed {
		w.announce()
	}
}

// elect makes one in sync the leader, if the leader is not.
func (w *cluster) elect() bool {
	left := w.office.ISR
	if slices.Contains(left, w.office.Leader) {
		return false
	}
	w.office.Leader = left[w.r.IntN(len(left))]
	w.office.LeaderEpoch++
	return true
}

// kill ends a node: the power goes, or the process is killed.
func (w *cluster) kill(m *member) {
	m.stage.Crash()
	m.down = true
	if w.r.IntN(3) == 0 {
		m.files = m.files.Keep()
	} else {
		m.files = m.files.Crash(w.r)
	}
	w.lost(m)
}

// back starts a node that was killed; on a full disk it would not start. One that led does so in another term: it may have lost what it had told.
func (w *cluster) back(m *member) {
	if w.office.Leader == m.id {
		w.office.LeaderEpoch++
		w.announce()
	}
	m.empty()
	w.raise(m)
}

// isolate lets nobody hear of a node; heal ends that, and it hears what has become of the office.
func (w *cluster) isolate(m *member) {
	m.cut = true
	w.lost(m)
}

func (w *cluster) heal(m *member) {
	m.cut = false
	if !m.down {
		w.inform(m, 0)
	}
}

func (w *cluster) lost(m *member) {
	for _, other := range w.nodes {
		if other != m && !other.down {
			other.stage.PeerDown(m.id)
			if !m.down {
				m.stage.PeerDown(other.id)
			}
		}
	}
}

// produce sends the next batch, or the last again, to who leads, until it is acknowledged.
func (w *cluster) produce() {
	if w.pending == nil {
		w.pending, w.tries = &pending{w.next, 1 + w.r.IntN(3)}, 0
		w.next += int32(w.pending.count)
	}
	b, leader := *w.pending, w.nodes[w.office.Leader-1]
	if leader.down || leader.cut {
		return
	}
	w.tries++
	try := w.tries
	leader.stage.Ask(message.PartitionAt(leader.id, here), batch(b.count, 7, b.sequence), time.Minute, func(answer any) {
		if a, ok := answer.(*message.Appended); ok && a.Code == message.OK && !leader.cut {
			w.acknowledged(a, b)
		} else if ok && a.Code == message.OutOfOrderSequenceNumber {
			w.t.Errorf("sequence %d: %+v", b.sequence, a)
		}
		if w.pending != nil && *w.pending == b && w.tries == try {
			w.tries = -try // may be sent again
		}
	})
}

func (w *cluster) acknowledged(a *message.Appended, b pending) {
	if before, ok := w.acked[a.BaseOffset]; ok && before != b {
		w.t.Errorf("%+v and %+v were both acknowledged at %d", before, b, a.BaseOffset)
	}
	w.acked[a.BaseOffset] = b
	if w.pending != nil && *w.pending == b {
		w.pending = nil
	}
}

// say has n batches acknowledged, one after the other.
func (w *cluster) say(n int) {
	w.t.Helper()
	for range n {
		for begun := w.world.Elapsed(); ; {
			w.produce()
			w.world.RunFor(20 * time.Millisecond)
			if w.pending == nil {
				break
			}
			if w.world.Elapsed()-begun > time.Minute {
				w.t.Fatalf("seed %d: sequence %d is not acknowledged", w.seed, w.pending.sequence)
			}
		}
	}
}

// read is a node's committed log, and where it and the log end.
func (w *cluster) read(m *member) (raw []byte, b message.Bounds) {
	w.t.Helper()
	m.stage.Ask(message.PartitionAt(m.id, here), &message.Await{HighWatermark: -1}, time.Minute, func(any) {})
	w.world.RunFor(100 * time.Millisecond)
	v, ok := m.stage.Published(message.PartitionAt(m.id, here)).(message.View)
	if !ok {
		w.t.Fatalf("seed %d: node %d shows nothing", w.seed, m.id)
	}
	b = v.Bounds()
	for next := b.LogStart; next < b.HighWatermark; {
		s, err := v.Read(next, b.HighWatermark, 1, true)
		if err != nil || s.Bytes == 0 {
			w.t.Fatalf("seed %d: node %d at %d of %+v: %v", w.seed, m.id, next, b, err)
		}
		part := make([]byte, s.Bytes)
		if _, err := s.File.ReadAt(part, s.At); err != nil {
			w.t.Fatal(err)
		}
		raw, next = append(raw, part...), s.Next
	}
	return raw, b
}

// judge finds every node with the same log, all of it committed, with every sequence in it once and in order, where it was acknowledged.
func (w *cluster) judge() {
	w.t.Helper()
	first, bounds := w.read(w.nodes[0])
	for _, m := range w.nodes {
		raw, b := w.read(m)
		if !bytes.Equal(raw, first) || b.HighWatermark != bounds.HighWatermark || b.LogEnd != b.HighWatermark {
			w.t.Errorf("node %d has %d committed bytes, %+v; node 1 has %d, %+v", m.id, len(raw), b, len(first), bounds)
		}
	}
	sequence, acked := int32(0), 0
	for rest := first; len(rest) > 0; {
		b, err := record.Check(rest)
		if err != nil {
			w.t.Fatal(err)
		}
		if b.BaseSequence() != sequence {
			w.t.Fatalf("seed %d: sequence %d at %d, due is %d", w.seed, b.BaseSequence(), b.BaseOffset(), sequence)
		}
		if a, ok := w.acked[b.BaseOffset()]; ok && a == (pending{sequence, int(b.Count())}) {
			acked++
		}
		sequence, rest = sequence+b.Count(), rest[len(b):]
	}
	if acked != len(w.acked) {
		w.t.Errorf("%d of %d acknowledged batches are where they were", acked, len(w.acked))
	}
}

func (w *cluster) close() {
	for _, m := range w.nodes {
		if !m.down {
			m.stage.Close()
		}
	}
}

// settle lets everybody back and waits until all is as it should be.
func (w *cluster) settle() {
	for _, m := range w.nodes {
		w.heal(m)
		m.empty()
		if m.down {
			w.back(m)
		}
	}
	w.fence()
	w.world.RunFor(10 * time.Second)
	w.say(2)
	w.world.RunFor(5 * time.Second)
	if len(w.office.ISR) != len(w.nodes) {
		w.t.Errorf("in sync: %v", w.office.ISR)
	}
}

// Three copies; the leader is cut off and goes on appending; another leads; the old one comes back, and what only it had is cut.
func TestAnOldLeaderIsCutBackToTheNewOne(t *testing.T) {
	for _, fsync := range []bool{true, false} {
		t.Run(fmt.Sprintf("fsync %v", fsync), func(t *testing.T) {
			w := newCluster(t, 1, 3, func(o *message.Leadership) { o.Config.Fsync = fsync })
			defer w.close()
			w.say(20)
			w.judge()
			old := w.nodes[0]
			w.isolate(old)
			lonely := func(b *message.Append, acks int16) (answer any) {
				b.Acks = acks
				old.stage.Ask(message.PartitionAt(1, here), b, time.Minute, func(a any) { answer = a })
				w.world.RunFor(50 * time.Millisecond)
				return answer
			}
			if a, ok := lonely(plain(3), 1).(*message.Appended); !ok || a.Code != message.OK {
				t.Fatalf("acks=1 is for the leader alone: %+v", a)
			}
			if a := lonely(batch(2, 8, 0), -1); a != nil {
				t.Fatalf("acks=all was answered with %+v by a leader whom nobody hears", a)
			}
			w.fence()
			w.world.RunFor(time.Second)
			if w.office.Leader == 1 {
				t.Fatal("nobody else leads")
			}
			w.say(5)
			_, before := w.read(old)
			w.heal(old)
			w.world.RunFor(5 * time.Second)
			w.judge()
			_, after := w.read(old)
			if after.HighWatermark <= before.HighWatermark || !slices.Contains(w.office.ISR, 1) {
				t.Errorf("the old leader had %+v and has %+v; in sync are %v", before, after, w.office.ISR)
			}
		})
	}
}

// A leader dies; the follower that leads then knows who has written what, and answers a repeated batch as the first one was.
func TestAFollowerKnowsWhoHasWrittenWhat(t *testing.T) {
	w := newCluster(t, 2, 2)
	defer w.close()
	w.say(10)
	w.kill(w.nodes[0])
	w.fence()
	w.world.RunFor(time.Second)
	var answer any
	for _, base := range slices.Sorted(maps.Keys(w.acked))[5:] { // five are remembered
		b := w.acked[base]
		w.nodes[1].stage.Ask(message.PartitionAt(2, here), batch(b.count, 7, b.sequence), time.Minute, func(a any) { answer = a })
		w.world.RunFor(100 * time.Millisecond)
		if a, ok := answer.(*message.Appended); !ok || a.Code != message.OK || a.BaseOffset != base {
			t.Errorf("%+v, at %d before: %+v", b, base, answer)
		}
	}
}

// A follower whose disk is empty, and a leader that has deleted what came first: the follower begins where the leader does.
func TestAnEmptyFollowerBeginsWhereTheLeaderDoes(t *testing.T) {
	w := newCluster(t, 3, 2)
	defer w.close()
	w.say(30)
	w.kill(w.nodes[1])
	w.fence()
	w.world.RunFor(time.Second)
	w.nodes[0].stage.Ask(message.PartitionAt(1, here), &message.DeleteRecords{Offset: 21}, time.Minute, func(any) {})
	w.world.RunFor(time.Second)
	w.nodes[0].stage.Send(message.PartitionAt(1, here), &message.Sweep{})
	w.world.RunFor(time.Second)
	w.nodes[1].files = vfs.Memory(vfs.MemoryOptions{})
	w.back(w.nodes[1])
	w.world.RunFor(5 * time.Second)
	w.say(3)
	w.world.RunFor(time.Second)
	_, one := w.read(w.nodes[0])
	_, two := w.read(w.nodes[1])
	if two.LogStart != 21 || two.LogEnd != one.LogEnd || two.HighWatermark != one.HighWatermark || len(w.office.ISR) != 2 {
		t.Errorf("%+v, %+v, in sync %v", one, two, w.office.ISR)
	}
}

// What retention has taken from the leader alone is not acknowledged as deleted before the follower has let go of it, too.
func TestADeletionBelowTheLeadersStartWaitsForTheFollower(t *testing.T) {
	w := newCluster(t, 3, 2)
	defer w.close()
	w.say(30)
	w.world.RunFor(time.Second)
	w.isolate(w.nodes[1])
	office := w.word()
	office.Config.RetentionBytes, office.Config.CleanupDelete = 100, true
	w.nodes[0].stage.Send(message.PartitionAt(1, here), office)
	w.nodes[0].stage.Send(message.PartitionAt(1, here), &message.Sweep{})
	w.world.RunFor(10 * time.Millisecond)
	var told *message.RecordsDeleted
	w.nodes[0].stage.Ask(message.PartitionAt(1, here), &message.DeleteRecords{Offset: 10}, time.Minute, func(a any) { told, _ = a.(*message.RecordsDeleted) })
	w.world.RunFor(10 * time.Millisecond)
	_, one := w.read(w.nodes[0])
	if one.LogStart < 10 || told != nil {
		t.Fatalf("the leader's log starts at %d, and the follower is cut off: %+v", one.LogStart, told)
	}
}

// An idle partition lets go of its log on both sides while the pull stays parked, and is there when there is something to copy.
func TestIdleReplicasRest(t *testing.T) {
	w := newCluster(t, 4, 2)
	defer w.close()
	w.say(3)
	for range 3 {
		for _, m := range w.nodes {
			m.stage.Send(message.PartitionAt(m.id, here), &message.Sweep{})
		}
		w.world.RunFor(time.Second)
	}
	for _, m := range w.nodes {
		if p := m.stage.Actor(message.PartitionAt(m.id, here)).(*Partition); p.phase != closed {
			t.Errorf("node %d has its log open", m.id)
		}
	}
	w.say(3)
	w.world.RunFor(time.Second)
	w.judge()
}

// A follower that was taken out of the in-sync set and has everything is wished back although the leader's log rests and nobody pulls.
func TestWhoIsFencedComesBackToAnIdleLeader(t *testing.T) {
	w := newCluster(t, 5, 2)
	defer w.close()
	w.say(3)
	for range 3 {
		w.nodes[0].stage.Send(message.PartitionAt(1, here), &message.Sweep{})
		w.world.RunFor(time.Second)
	}
	if p := w.nodes[0].stage.Actor(message.PartitionAt(1, here)).(*Partition); p.phase != closed {
		t.Fatal("the leader's log is open")
	}
	w.office.ISR = []message.NodeID{1}
	w.announce()
	w.world.RunFor(time.Second)
	if len(w.office.ISR) != 2 {
		t.Errorf("in sync: %v", w.office.ISR)
	}
}

// What rots in a log that is in use, and that nobody reads, is found by the sweeps and mended: in a follower's copy and in a leader's.
func TestAScrubFindsDamageAndMendsIt(t *testing.T) {
	for _, rotten := range []int{0, 1} {
		w := newCluster(t, 6, 2)
		w.say(20)
		m := w.nodes[rotten]
		if err := m.files.Rot(dir(here)+"/00000000000000000000.log", 70, 3); err != nil {
			t.Fatal(err)
		}
		m.stage.Send(message.PartitionAt(m.id, here), &message.Sweep{})
		w.world.RunFor(5 * time.Second)
		w.judge()
		if p := m.stage.Actor(message.PartitionAt(m.id, here)).(*Partition); len(p.mending.damaged) > 0 || p.mending.scrubbed == 0 {
			t.Errorf("node %d: %+v", m.id, p.mending)
		}
		w.close()
	}
}

// Everything at once: nodes are killed, cut off and come back, leaders change, and in the end everything is everywhere.
func TestClusters(t *testing.T) {
	for seed := range uint64(200) {
		w := newCluster(t, seed, 2+int(seed%2), func(o *message.Leadership) { o.Config.MinInsyncReplicas = 1 + int32(seed/2%2) })
		for range 150 {
			m := w.nodes[w.r.IntN(len(w.nodes))]
			switch d := w.r.IntN(100); {
			case d < 40:
				if w.pending == nil || w.tries < 0 {
					w.tries = max(w.tries, -w.tries)
					w.produce()
				}
			case d < 85:
				w.world.RunFor(time.Duration(w.r.IntN(5000)) * time.Microsecond)
			case d < 89:
				w.fence()
			case d < 90:
				w.fill(m)
			case d < 91:
				m.empty()
			case d < 92:
				m.stage.Send(message.PartitionAt(m.id, here), &message.Sweep{})
			case d < 93:
				w.world.RunFor(time.Duration(w.r.IntN(2000)) * time.Millisecond)
			case m.down:
				w.back(m)
			case m.cut:
				w.heal(m)
			case d < 97:
				w.kill(m)
			default:
				w.isolate(m)
			}
		}
		w.settle()
		w.judge()
		w.close()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
