// Package replica is the brain of one copy of one partition: who leads in which epoch, who is in sync, how far the log
// is durable here and how far it is committed everywhere. Offsets, words and the time come in, decisions go out; it touches
// no disk, sends nothing and reads no clock.
//
// A follower says with each pull how far it has appended and how far it has synced. Only what counts as durable under
// the topic's rule moves the high watermark, which is the smallest durable end in the in-sync set, or in what that may be
// already: a follower that was proposed for the set holds the mark back before the controller has answered (KIP-497). A
// follower's own mark is what it was told, as far as its log goes.
package replica

import (
	"math"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// unknown is an offset nobody has told yet.
const unknown int64 = -1

// Replica is what one node knows of one partition.
type Replica struct {
	self message.NodeID

	office    *message.Leadership // the last valid word on who leads
	follows   bool                // another node leads, and this one keeps a copy
	told      int64               // the high watermark that the leader of this epoch has told; unknown before
	followers []follower          // the others in Replicas, while this one leads
	wish      wish                // for another in-sync set, while this one leads
	begun     int64               // the log's end here when this epoch began
	start     int64               // what followers are told of the log's start
	stuck     bool                // this node leads and has no room for more
	resigned  bool                // it has asked that another may lead, and one may

	end      int64 // the log's end here
	synced   int64 // the disk's word: durable here below
	loose    int64 // the end of the last append whose bytes no journal was given
	journals int64 // the end of the last append whose bytes a journal may still be reading
	durable  int64 // what counts as durable here under the topic's rule; it falls only where the log is cut
	high     int64 // the high watermark; unknown until everything found at the start is durable
	found    int64 // the log's end when it was opened; nothing is committed before
}

// Log is what the brain must know of the log's history.
type Log interface {
	// Start is the first offset that may be read; First is the base of the batch that holds it.
	Start() int64
	First() int64
	// EpochEnd is the largest leader epoch that is at most epoch, and the offset at which it ends; (-1, -1) if none.
	EpochEnd(epoch int32) (found int32, end int64)
}

// Out is what has to happen: free the answers that wait for Durable and HighWatermark, publish if Moved, tell every
// waiter if Changed.
type Out struct {
	Durable       int64 // what ends at or below it is durable on this node
	HighWatermark int64 // what ends at or below it is committed; -1 while unknown
	Moved         bool  // the high watermark is another than before
	Changed       bool  // the leader or its epoch is another than before, or the log is open now
	Flush         bool  // the topic asks for syncs from now on: commit what is only in the page cache
	Journal       bool  // the append's bytes may be made durable by the journal
}

// New is a replica whose log is not open yet.
func New(self message.NodeID, office *message.Leadership) Replica {
	r := Replica{self: self, high: unknown, told: unknown, found: math.MaxInt64}
	r.take(office, time.Time{})
	return r
}

// Leads says that this node leads the partition.
func (r *Replica) Leads() bool { return r.office.Leader == r.self }

// Resigned says that this node leads as far as it knows and has asked that another may: one may lead already, for as long as the controller's
// answer, and the word that follows from it, are on their way.
func (r *Replica) Resigned() bool { return r.resigned }

// Office is who leads, in which epoch, under which config.
func (r *Replica) Office() *message.Leadership { return r.office }

// HighWatermark is where the committed part of the log ends; -1 while unknown.
func (r *Replica) HighWatermark() int64 { return r.high }

// SyncedEnd is how far the log is synced here, whatever the topic's rule is.
func (r *Replica) SyncedEnd() int64 { return r.synced }

// Admit says whether an append may be tried: OK, NotLeaderOrFollower, or NotEnoughReplicas where acks asks for all of
// too few (S26, S28).
func (r *Replica) Admit(acks int16) message.Code {
	switch {
	case !r.Leads():
		return message.NotLeaderOrFollower
	case acks < 0 && !r.Enough():
		return message.NotEnoughReplicas
	}
	return message.OK
}

// Enough says that the in-sync set is as large as acks=all asks for: min.insync.replicas, or all replicas where there are fewer, as in
// Kafka (Partition.effectiveMinIsr). Nothing is committed with fewer, either: what is must survive the loss of all of them but one,
// since whoever was in sync when it was committed may be elected later (KIP-966).
func (r *Replica) Enough() bool {
	return planted.Is(planted.MinInsyncIgnored) || len(r.office.ISR) >= min(int(r.office.Config.MinInsyncReplicas), len(r.office.Replicas))
}

// Lead takes a new word on who leads. An older one than what is known changes nothing.
func (r *Replica) Lead(office *message.Leadership, now time.Time) Out {
	if old := r.office; office.LeaderEpoch < old.LeaderEpoch ||
		office.LeaderEpoch == old.LeaderEpoch && office.PartitionEpoch < old.PartitionEpoch {
		return r.decide()
	}
	changed := office.LeaderEpoch != r.office.LeaderEpoch || office.Leader != r.office.Leader
	flush := office.Config.Fsync && !r.office.Config.Fsync && r.synced < r.end
	r.take(office, now)
	out := r.decide()
	out.Changed, out.Flush = changed, flush
	return out
}

// take puts the office on and makes room for the followers' ends: a follower's word from an earlier term does not count, nor
// does what an earlier leader has told. Nor does the word of one that is out of sync from before the partition's last change: it
// may have come back with an empty disk, and has to say anew how far it is.
func (r *Replica) take(office *message.Leadership, now time.Time) {
	again := r.office != nil && r.office.LeaderEpoch == office.LeaderEpoch
	unchanged := again && r.office.PartitionEpoch == office.PartitionEpoch
	if !again {
		r.told, r.begun = unknown, r.end
	}
	if planted.Is(planted.ElectedMarkEarly) && !again && office.Leader == r.self {
		r.high = r.end
	}
	if !unchanged {
		r.wish, r.resigned = wish{}, false
	}
	old := r.followers
	r.office, r.followers = office, nil
	r.stuck = r.stuck && r.Leads()
	r.follows = !r.Leads() && office.Leader != message.Nobody && slices.Contains(office.Replicas, r.self)
	if !r.Leads() {
		return
	}
	for _, node := range office.Replicas {
		if node == r.self {
			continue
		}
		f := follower{node: node, appended: unknown, synced: unknown, told: unknown, start: unknown, goal: r.end, goalAt: now, caughtUp: now}
		if i := indexOf(old, node); i >= 0 && again && (unchanged || slices.Contains(office.ISR, node)) {
			f = old[i]
		}
		f.counts = slices.Contains(office.ISR, node) || slices.Contains(r.wish.more, node)
		r.followers = append(r.followers, f)
	}
}

// Opened says that the log was opened and ends at end, of which everything below synced is known to be durable. Followers
// have had nobody to pull from before.
func (r *Replica) Opened(end, synced int64, now time.Time) Out {
	if r.found == math.MaxInt64 {
		r.begun = end
	}
	r.end, r.found, r.synced = end, end, min(synced, end)
	if r.synced < end {
		r.loose = end
	}
	for i := range r.followers {
		r.followers[i].caughtUp = now
	}
	out := r.decide()
	out.Changed = true
	return out
}

// Appended says that the log now ends at end. Under the page cache's rule it counts from the next Now on, so that a
// burst of appends is one decision. While something below the append is only in the page cache the journal must not have
// it, but the files themselves are synced: or a crash would leave a gap in front of the journal's entry.
func (r *Replica) Appended(end int64, now time.Time) Out {
	for i := range r.followers {
		r.followers[i].leftBehind(r.end, end, r.office.Config.Fsync, now)
	}
	journal := r.office.Config.Fsync && r.synced >= r.loose
	if journal {
		r.journals = end
	} else {
		r.loose = end
	}
	r.end, r.stuck = end, false
	return Out{Durable: r.durable, HighWatermark: r.high, Journal: journal}
}

// Now is how things stand, with everything that was appended.
func (r *Replica) Now() Out { return r.decide() }

// Synced is the disk's word: everything below end is durable here.
func (r *Replica) Synced(end int64) Out {
	r.synced = max(r.synced, min(end, r.end))
	return r.decide()
}

// Truncated says that the log was cut, or begun anew: it ends at end, and all of that is in the disk's care. What is committed
// can fall with it only behind an unclean election.
func (r *Replica) Truncated(end int64) Out {
	r.end, r.synced, r.durable = end, min(r.synced, end), min(r.durable, end)
	r.loose, r.journals, r.begun, r.found = end, min(r.journals, end), min(r.begun, end), min(r.found, end)
	before := r.high
	r.high = min(r.high, end)
	out := r.decide()
	out.Moved = r.high != before
	return out
}

// decide draws the conclusions: every event ends here.
func (r *Replica) decide() Out {
	before := r.high
	r.durable = max(r.durable, r.durableHere())
	switch {
	case r.Leads():
		if c := r.committed(); c > r.high && (r.high != unknown || c >= r.found || planted.Is(planted.ElectedMarkLow)) && r.Enough() {
			r.high = c
		}
	case r.told != unknown:
		if r.high = max(r.high, min(r.told, r.end)); planted.Is(planted.MarkBelieved) {
			r.high = max(r.high, r.told)
		}
	}
	return Out{Durable: r.durable, HighWatermark: r.high, Moved: r.high != before}
}

// durableHere is the end that counts for this replica. Under the page cache's rule that is the log's end, but never while a
// journal may be reading an append's bytes: the answer gives that memory back.
func (r *Replica) durableHere() int64 {
	if r.office.Config.Fsync || r.synced < r.journals {
		return r.synced
	}
	return r.end
}

// committed is the smallest durable end in the in-sync set, and in what that may be already.
func (r *Replica) committed() int64 {
	end := r.durable
	for i := range r.followers {
		if f := &r.followers[i]; f.counts && !planted.Is(planted.LeaderAlone) {
			end = min(end, f.durable(r.office.Config.Fsync))
		}
	}
	return end
}
