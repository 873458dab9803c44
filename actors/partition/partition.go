// Package partition is the actor of one replica of one partition: the only one that touches its log.
//
// It refuses what is not for a leader, what is too large, out of sequence or out of time, and it acknowledges nothing
// that its topic's rule does not yet call durable. It does not look inside batches (the door does), keeps no file open
// before somebody asks for it, and reads nothing for consumers: they read from the view that it publishes.
//
// Where another node leads it copies that one's log by pulling (follow.go), and cuts what the leader never had (cut.go). Where it
// leads it serves those who pull (serve.go) and has the in-sync set changed (insync.go).
package partition

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/partition/producers"
	"github.com/troupe-broker/troupe/actors/partition/replica"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
)

// Partition is one copy of one partition. Most are idle, so that an idle one is this struct and nothing behind it.
//
//	Append ─▶ producers ─▶ log ─▶ replica ─▶ Commit ─▶ disk ─▶ Synced ─▶ replica ─▶ view, Appended, Progressed
type Partition struct {
	post        *post
	incarnation uint64 // the disk's answers to an earlier one are not for us

	phase     phase
	recovery  stage.RequestID   // the question to the disk
	recovered message.Recovered // what is known of the log while it is closed
	waiting   []request         // what came before the log was open, in order

	log       *log.Log
	handover  *log.Handover       // while it is opened
	retired   *log.Log            // closed at the next sweep: until then its views may be in use
	reopened  bool                // the log was open before in this instance
	used      bool                // since the last sweep
	due       time.Time           // before it a sweep need not open the log; zero: not known
	replica   replica.Replica     // who leads, who is in sync, what is committed
	producers producers.Producers // who has written what already

	follow     follow    // what there is between this follower and its leader
	followers  followers // what there is between this leader and its followers
	mending    mending   // what the disk has damaged
	compaction compaction
	cutting    truncation // under way

	acksAll    queue          // appends that wait for the high watermark
	acksLocal  queue          // appends that wait for this node's disk
	enlistings []*enlisting   // appends that wait for a transaction's coordinator
	deletions  []deletion     // DeleteRecords that wait for this node's disk
	awaiting   []stage.Caller // who wants to hear when the view changes
	seen       message.Bounds
	visible    bool   // seen is what the published view says
	settling   bool   // a settle is on its way
	commits    uint64 // how many Commits were sent
	answered   uint64 // and how many of them the disk has answered
	sent       int64  // the end of the last Commit
	blind      bool   // damage may have hidden who has written what
	unsaved    int64  // bytes in the log that the last snapshot of producers does not cover
	unflushed  int64  // bytes in the page cache that no Commit was sent for
	elsewhere  bool   // it is leaving, and may come back to this node
	void       bool   // the disk was told that nothing of the journal is to be replayed
	flushing   bool   // flushTimer runs
	flushTimer stage.Timer
}

// phase is where a replica is in its life.
type phase uint8

const (
	starting phase = iota // the disk has not yet said what it knows
	closed                // nobody has asked for the log yet
	opening               // somebody reads it elsewhere
	cramped               // that failed because the disk is full
	open
	cutting // its tail contradicts the leader's: nothing touches it until that is gone
	leaving // its topic is deleted
)

// request is somebody's question that waits for the log.
type request struct {
	from stage.Caller
	ask  any
}

// Messages to self.
type (
	settle struct{} // the page cache has a burst of appends: count them
	flush  struct{} // flush.ms has passed
	retry  struct{} // the disk may have room now
	repull struct{} // the leader may answer now
	tell   struct{} // followers do not know yet what is committed
	look   struct{} // is everybody in sync who is said to be?
	remend struct{} // another replica may have what is damaged here
)

// Receive is the table of contents.
func (p *Partition) Receive(c stage.Context) {
	switch m := c.Message().(type) {
	case *stage.Started:
		p.start(c)
	case *message.Recovered:
		p.recover(c, m)
	case *found:
		p.opened(c, m)
	case *message.Append, *message.Await, *message.DeleteRecords, *message.DescribeProducers, *message.Sweep, *message.Pull, *message.Cramped, *message.Mend, *message.Mark:
		p.ask(c, request{c.Caller(), m})
	case *message.Enlisted:
		p.enlisted(c, enlistedCode(m), m.Message)
	case *message.Uncoordinated:
		p.enlisted(c, m.Code, "")
	case *enlistAgain:
		p.enlistAgain(c, m)
	case *message.Forget:
		p.forget(c.Caller().Address)
	case *message.Synced:
		p.synced(c, m)
	case *message.Unsynced:
		p.unsynced(c, m)
	case *settle:
		p.settle(c)
	case *message.Pulled:
		p.pulled(c, m)
	case *gathered:
		p.gathered(c, m)
	case *shortened:
		p.shortened(c, m)
	case *message.Drawn:
		p.drawn(c, m)
	case *redraw:
		p.redraw(c, m)
	case *lent:
		p.lent(c, m)
	case *message.Mended:
		p.mended(c, m)
	case *message.Damaged:
		p.ask(c, request{ask: m})
	case *scrubbed:
		p.scrubbed(c, m)
	case *remend:
		p.remend(c)
	case *repull:
		p.repull(c)
	case *tell:
		p.tellFollowers(c)
	case *look:
		p.look(c)
	case *message.Unreached:
		p.stuck(c, m.Node)
	case *message.PartitionsAltered:
		p.altered(c, m)
	case *flush:
		p.flush(c)
	case *retry:
		p.retry(c)
	case *tidy:
		p.tidy(c)
	case *message.Compact:
		p.compact(c, m)
	case *stepped:
		p.stepped(c, m)
	case *stepOn:
		p.stepOn(c, m)
	case *swapped:
		p.swapped(c, m)
	case *dropOld:
		p.dropReplaced(c)
	case *dropped:
		p.dropped(c, m.err)
	case *settled:
		p.dropped(c, m.err)
	case *message.Leadership:
		p.lead(c, m)
	case *message.Deleted:
		p.delete(c, m)
	case *removed:
		p.gone(c, m)
	case *stage.Stopping:
		p.stop(c)
	case *stage.TimedOut, *stage.Down:
		p.unanswered(c)
	default:
		c.Unhandled()
	}
}

// ask serves a request now, or opens the log and serves it then.
func (p *Partition) ask(c stage.Context, r request) {
	switch m := r.ask.(type) {
	case *message.Sweep:
		p.closeRetired(c)
	case *message.Pull:
		if code := p.replica.Refusal(r.from.Address.Node, m.LeaderEpoch); code != message.OK {
			p.refuse(c, r, code)
			return
		}
	case *message.Cramped:
		p.followerCramped(c, r.from.Address.Node, m)
		return
	}
	switch p.phase {
	case open:
		p.serve(c, r)
	case leaving:
		p.refuse(c, r, message.UnknownTopicOrPartition)
	case cramped:
		p.refuse(c, r, message.KafkaStorageError)
	case closed:
		if p.worthOpening(c, r) {
			p.waiting = append(p.waiting, r)
			p.open(c)
		}
	default:
		p.waiting = append(p.waiting, r)
	}
}

// serve is the table of contents of what needs an open log.
func (p *Partition) serve(c stage.Context, r request) {
	switch m := r.ask.(type) {
	case *message.Append:
		p.used = true
		p.append(c, r.from, m)
	case *message.Mark:
		p.used = true
		p.mark(c, r.from, m)
	case *message.Await:
		p.used = true
		p.await(c, r.from, m)
	case *message.DeleteRecords:
		p.deleteRecords(c, r.from, m)
	case *message.DescribeProducers:
		p.describeProducers(c, r.from)
	case *message.Pull:
		p.serveFollower(c, r.from, m)
	case *message.Pulled:
		p.take(c, m)
	case *message.Mend:
		p.lend(c, r.from, m)
	case *message.Damaged: // a reader has met it
		p.damageFound(c, *m)
	case *message.Sweep:
		if p.sweep(c) {
			p.scrubIfUsed(c)
			p.restIfIdle(c)
		}
	}
}

// unanswered is a question of ours that nobody answers: to the leader, to the broker, or to the disk.
func (p *Partition) unanswered(c stage.Context) {
	switch id := c.Answers(); {
	case id == 0 || id == p.recovery:
		p.forsaken(c)
	case id == p.follow.asked:
		p.leaderIsSilent(c)
	case id == p.followers.proposal:
		p.unheard(c)
	case id == p.followers.draw.asked:
		p.undrawn(c, message.LeaderSide)
	case id == p.follow.draw.asked:
		p.undrawn(c, message.FollowerSide)
	case id == p.mending.asked:
		p.mendLater(c, p.post.PauseMax)
	default:
		p.enlisted(c, message.RequestTimedOut, "")
	}
}

// lead takes a new word on who leads. It is kept where the next instance finds it. Who pulls in another epoch's name, or from
// one who leads no more, is told so.
func (p *Partition) lead(c stage.Context, m *message.Leadership) {
	out := p.replica.Lead(m, c.Now())
	p.post.Leadership = p.replica.Office()
	p.due = time.Time{} // retention may be another now
	if out.Changed {
		p.settleShare(c, 0)
		p.follow, p.followers.proposal, p.mending.asked = follow{}, 0, 0
		p.dismissFollowers(c, message.NotLeaderOrFollower)
		p.dismissHeld(c, message.NotLeaderOrFollower)
	}
	p.hearAnew(c)
	if p.phase == open {
		p.log.Configure(rolling(p.replica.Office()))
		p.compaction.sealed = -1 // what is to be compacted may be another now
		p.tidySoon(c)
		p.carryOut(c, out)
		p.watch(c)
		p.mend(c)
	}
	p.propose(c) // also while the log rests
	p.pull(c)
}

// carryOut is the only place where a decision becomes an effect: sync, then publish, then answer.
func (p *Partition) carryOut(c stage.Context, out replica.Out) {
	if out.Flush {
		p.commit(c, nil, message.Trace{})
	}
	if out.Moved || out.Changed {
		p.publish(c)
		p.tellSoon(c)
		p.propose(c)
	}
	p.showResigned(c)
	p.free(c, out)
}
