package replica

import (
	"math"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// follower is another replica as its leader sees it.
type follower struct {
	node             message.NodeID
	appended, synced int64
	told             int64 // the high watermark that it knows of
	start            int64 // its log starts here
	counts           bool  // it holds back the high watermark
	stuck            bool  // it cannot have what comes next: its disk has no room, or it is not reached

	// It had everything that there was at caughtUp. When it has goal too, it had everything at goalAt: so one that is under load,
	// and never has the last record, is told from one that falls back.
	caughtUp time.Time
	goal     int64
	goalAt   time.Time
}

// durable is the end that counts.
func (f *follower) durable(fsync bool) int64 {
	if fsync && !planted.Is(planted.AppendCounts) {
		return f.synced
	}
	return f.appended
}

// leftBehind notes when one that had everything ceases to.
func (f *follower) leftBehind(before, end int64, fsync bool, now time.Time) {
	if f.durable(fsync) >= before {
		f.caughtUp, f.goal, f.goalAt = now, end, now
	}
}

// pulled takes a follower's word. It cannot have synced what it has not appended.
func (f *follower) pulled(m *message.Pull, end int64, fsync bool, now time.Time) {
	f.stuck = f.stuck && m.End <= f.appended
	f.appended, f.synced, f.told, f.start = m.End, min(m.Synced, m.End), m.HighWatermark, m.LogStart
	switch durable := f.durable(fsync); {
	case durable >= end:
		f.caughtUp = now
	case durable >= f.goal:
		f.caughtUp, f.goal, f.goalAt = f.goalAt, end, now
	}
}

func indexOf(followers []follower, node message.NodeID) int {
	return slices.IndexFunc(followers, func(f follower) bool { return f.node == node })
}

// Followed says that this node leads and others copy from it.
func (r *Replica) Followed() bool { return len(r.followers) > 0 }

// Refusal says why a node's word about an epoch is not heard: NotLeaderOrFollower, FencedLeaderEpoch, UnknownLeaderEpoch, or
// ReplicaNotAvailable for a node that keeps no copy.
func (r *Replica) Refusal(from message.NodeID, epoch int32) message.Code {
	switch {
	case !r.Leads():
		return message.NotLeaderOrFollower
	case epoch < r.office.LeaderEpoch:
		return message.FencedLeaderEpoch
	case epoch > r.office.LeaderEpoch:
		return message.UnknownLeaderEpoch
	case indexOf(r.followers, from) < 0:
		return message.ReplicaNotAvailable
	}
	return message.OK
}

// Pull is a follower's word on how far it has appended and synced. The answer is nil where it may wait for what is Due; else it
// is refused, or told where its log ceases to be the leader's, and then nothing that it says counts.
func (r *Replica) Pull(from message.NodeID, m *message.Pull, log Log, now time.Time) (Out, *message.Pulled) {
	if code := r.Refusal(from, m.LeaderEpoch); code != message.OK {
		return r.decide(), r.Answer(code, log.Start())
	}
	if no := r.diverges(m, log); no != nil {
		return r.decide(), no
	}
	r.followers[indexOf(r.followers, from)].pulled(m, r.end, r.office.Config.Fsync, now)
	return r.decide(), nil
}

// diverges is the answer to a follower whose log is no prefix of the leader's (KIP-101, KIP-595); nil if it is one. To one with
// which there is nothing in common it says where to begin again.
func (r *Replica) diverges(m *message.Pull, log Log) *message.Pulled {
	switch {
	case m.End < log.Start() && m.End < log.First():
		return r.Answer(message.OffsetOutOfRange, log.First())
	case m.LastEpoch < 0 && m.End <= r.end:
		return nil
	case m.LastEpoch < 0:
		return r.Answer(message.OffsetOutOfRange, log.First())
	}
	epoch, end := log.EpochEnd(m.LastEpoch)
	switch {
	case epoch < 0:
		return r.Answer(message.OffsetOutOfRange, log.First())
	case epoch == m.LastEpoch && m.End <= end, planted.Is(planted.EpochUncompared) && m.End <= r.end:
		return nil
	}
	no := r.Answer(message.OK, log.Start())
	no.DivergingEpoch, no.DivergingEnd = epoch, end
	return no
}

// Answer is an answer to a pull that brings nothing.
func (r *Replica) Answer(code message.Code, start int64) *message.Pulled {
	return &message.Pulled{Code: code, LeaderEpoch: r.office.LeaderEpoch, HighWatermark: r.high, LogStart: start, DivergingEpoch: -1, DivergingEnd: -1}
}

// Unproven says that a follower has yet to say how far it is.
func (r *Replica) Unproven(node message.NodeID) bool {
	i := indexOf(r.followers, node)
	return i >= 0 && r.followers[i].appended == unknown
}

// Due is what a parked pull can be answered.
type Due uint8

// What a parked pull waits for.
const (
	Wait  Due = iota // there is nothing that the follower does not know
	Tell             // the high watermark or the log start is another
	Bring            // there are records behind the follower's end
)

// Due says what there is for a follower.
func (r *Replica) Due(node message.NodeID) Due {
	i := indexOf(r.followers, node)
	switch {
	case i < 0:
		return Wait
	case r.followers[i].appended < r.end:
		return Bring
	case r.followers[i].told < r.high, r.followers[i].start < r.start:
		return Tell
	}
	return Wait
}

// Throttles says that a follower is sent no more than this node's throttle lets it: one that is in sync always is.
func (r *Replica) Throttles(node message.NodeID) bool {
	return r.office.LeaderThrottled && !slices.Contains(r.office.ISR, node)
}

// StartFrom says where followers are to let their logs start: what was below is gone here for good.
func (r *Replica) StartFrom(start int64) { r.start = max(r.start, start) }

// Start is where followers are to let their logs start.
func (r *Replica) Start() int64 { return r.start }

// LowWatermark is how far up every log starts that may be the leader's one day: what is below it cannot come back. It has no limit
// where nobody follows, and is not known where so few are in sync that others may be elected (KIP-966).
func (r *Replica) LowWatermark() int64 {
	if r.Leads() && !r.Enough() {
		return unknown
	}
	low := int64(math.MaxInt64)
	for i := range r.followers {
		if f := &r.followers[i]; f.counts {
			low = min(low, f.start)
		}
	}
	return low
}
