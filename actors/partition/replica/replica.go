// Package replica is the brain of one copy of one partition: who leads in which epoch, who is in sync, how far the log
// is durable here and how far it is committed everywhere. Offsets come in, decisions go out; it touches no disk, sends
// nothing and knows no time.
//
// A follower says with each pull how far it has appended and how far it has synced. Only what counts as durable under
// the topic's rule moves the high watermark, which is the smallest durable end in the in-sync set.
package replica

import (
	"math"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
)

// unknown is an offset nobody has told yet.
const unknown int64 = -1

// Replica is what one node knows of one partition.
type Replica struct {
	self message.NodeID

	office    *message.Leadership // the last valid word on who leads
	followers []follower          // the others in Replicas, while this one leads

	end      int64 // the log's end here
	synced   int64 // the disk's word: durable here below
	loose    int64 // the end of the last append whose bytes no journal was given
	journals int64 // the end of the last append whose bytes a journal may still be reading
	durable  int64 // what counts as durable here under the topic's rule; it never falls
	high     int64 // the high watermark; unknown until everything found at the start is durable
	found    int64 // the log's end when it was opened; nothing is committed before
}

// follower is another replica as its leader sees it.
type follower struct {
	node             message.NodeID
	appended, synced int64
}

// Out is what has to happen: free the answers that wait for Durable and HighWatermark, publish if Moved, tell every
// waiter if Changed.
type Out struct {
	Code          message.Code
	Durable       int64 // what ends at or below it is durable on this node
	HighWatermark int64 // what ends at or below it is committed; -1 while unknown
	Moved         bool  // the high watermark is another than before
	Changed       bool  // the leader or its epoch is another than before, or the log is open now
	Flush         bool  // the topic asks for syncs from now on: commit what is only in the page cache
	Journal       bool  // the append's bytes may be made durable by the journal
}

// New is a replica whose log is not open yet.
func New(self message.NodeID, office *message.Leadership) Replica {
	r := Replica{self: self, high: unknown, found: math.MaxInt64}
	r.take(office)
	return r
}

// Leads says that this node leads the partition.
func (r *Replica) Leads() bool { return r.office.Leader == r.self }

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

// Enough says that the in-sync set is as large as acks=all asks for.
func (r *Replica) Enough() bool { return len(r.office.ISR) >= int(r.office.Config.MinInsyncReplicas) }

// Lead takes a new word on who leads. An older one than what is known changes nothing.
func (r *Replica) Lead(office *message.Leadership) Out {
	if old := r.office; office.LeaderEpoch < old.LeaderEpoch ||
		office.LeaderEpoch == old.LeaderEpoch && office.PartitionEpoch < old.PartitionEpoch {
		return r.decide()
	}
	changed := office.LeaderEpoch != r.office.LeaderEpoch || office.Leader != r.office.Leader
	flush := office.Config.Fsync && !r.office.Config.Fsync && r.synced < r.end
	r.take(office)
	out := r.decide()
	out.Changed, out.Flush = changed, flush
	return out
}

// take puts the office on and makes room for the followers' ends: a follower's word from an earlier term does not count.
func (r *Replica) take(office *message.Leadership) {
	again := r.office != nil && r.office.LeaderEpoch == office.LeaderEpoch
	old := r.followers
	r.office, r.followers = office, nil
	if !r.Leads() {
		return
	}
	for _, node := range office.Replicas {
		if node == r.self {
			continue
		}
		f := follower{node: node, appended: unknown, synced: unknown}
		if i := indexOf(old, node); i >= 0 && again {
			f = old[i]
		}
		r.followers = append(r.followers, f)
	}
}

// Opened says that the log was opened and ends at end, of which everything below synced is known to be durable.
func (r *Replica) Opened(end, synced int64) Out {
	r.end, r.found, r.synced = end, end, min(synced, end)
	if r.synced < end {
		r.loose = end
	}
	out := r.decide()
	out.Changed = true
	return out
}

// Appended says that the log now ends at end. Under the page cache's rule it counts from the next Now on, so that a
// burst of appends is one decision. While something below the append is only in the page cache the journal must not have
// it, but the files themselves are synced: or a crash would leave a gap in front of the journal's entry.
func (r *Replica) Appended(end int64) Out {
	journal := r.office.Config.Fsync && r.synced >= r.loose
	if journal {
		r.journals = end
	} else {
		r.loose = end
	}
	r.end = end
	return Out{Durable: r.durable, HighWatermark: r.high, Journal: journal}
}

// Now is how things stand, with everything that was appended.
func (r *Replica) Now() Out { return r.decide() }

// Synced is the disk's word: everything below end is durable here.
func (r *Replica) Synced(end int64) Out {
	r.synced = max(r.synced, min(end, r.end))
	return r.decide()
}

// Pull is a follower's word, given with its next pull, on how far it has appended and synced in the epoch that it
// follows. Refusals: NotLeaderOrFollower, FencedLeaderEpoch, UnknownLeaderEpoch, and ReplicaNotAvailable for a node
// that keeps no copy.
func (r *Replica) Pull(from message.NodeID, epoch int32, appended, synced int64) Out {
	code := message.OK
	i := indexOf(r.followers, from)
	switch {
	case !r.Leads():
		code = message.NotLeaderOrFollower
	case epoch < r.office.LeaderEpoch:
		code = message.FencedLeaderEpoch
	case epoch > r.office.LeaderEpoch:
		code = message.UnknownLeaderEpoch
	case i < 0:
		code = message.ReplicaNotAvailable
	default:
		r.followers[i] = follower{from, min(appended, r.end), min(synced, appended, r.end)}
	}
	out := r.decide()
	out.Code = code
	return out
}

// decide draws the conclusions: every event ends here.
func (r *Replica) decide() Out {
	before := r.high
	r.durable = max(r.durable, r.durableHere())
	if c := r.committed(); r.Leads() && c > r.high && (r.high != unknown || c >= r.found) {
		r.high = c
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

// committed is the smallest durable end in the in-sync set.
func (r *Replica) committed() int64 {
	end := r.durable
	for _, f := range r.followers {
		if slices.Contains(r.office.ISR, f.node) {
			end = min(end, f.durable(r.office.Config.Fsync))
		}
	}
	return end
}

func (f follower) durable(fsync bool) int64 {
	if fsync {
		return f.synced
	}
	return f.appended
}

func indexOf(followers []follower, node message.NodeID) int {
	return slices.IndexFunc(followers, func(f follower) bool { return f.node == node })
}
