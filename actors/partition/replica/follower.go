package replica

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// Follows says that this node copies the log of another one, which leads.
func (r *Replica) Follows() bool { return r.follows }

// Throttled says that this follower copies no faster than its node's throttle lets it: while it is not in sync.
func (r *Replica) Throttled() bool {
	return r.follows && r.office.FollowerThrottled && !slices.Contains(r.office.ISR, r.self)
}

// Wants is what a follower asks its leader for, and tells it: the end that it has appended, and the end that is synced, which
// alone acknowledges anything. lastEpoch is that of the last batch of its log, which starts at start.
// Before the leader of this term has told it what is committed it says that it knows nothing, so that it is told at once and knows
// that their logs are the same: what is damaged here can only be mended then.
func (r *Replica) Wants(lastEpoch int32, start int64, bytesMax int32) *message.Pull {
	knows := r.high
	if r.told == unknown {
		knows = unknown
	}
	synced := r.synced
	if planted.Is(planted.RepullSynced) {
		synced = r.end
	}
	return &message.Pull{LeaderEpoch: r.office.LeaderEpoch, LastEpoch: lastEpoch, End: r.end, Synced: synced, LogStart: start,
		BytesMax: bytesMax, HighWatermark: knows}
}

// Shared is the end of what is known to be the same in every copy that is in sync in this term: what is committed. A follower knows
// of it once its leader has told it, and so has compared their logs; -1 before.
func (r *Replica) Shared() int64 {
	switch {
	case r.Leads():
		return r.high
	case r.told == unknown || !r.follows:
		return unknown
	}
	return min(r.told, r.end)
}

// Step is what a follower does next.
type Step uint8

// What follows from a leader's answer.
const (
	Copy  Step = iota // append what came, believe the high watermark (Told), pull again
	Cut               // cut the log to the offset, then pull again
	Begin             // empty the log, begin at the offset, then pull again
	Pause             // pull again in a while
)

// Pulled takes a leader's answer: what to do, and the offset for it.
func (r *Replica) Pulled(m *message.Pulled, log Log) (Step, int64) {
	switch {
	case !r.follows || m.LeaderEpoch != r.office.LeaderEpoch:
		return Pause, unknown
	case m.Code == message.OffsetOutOfRange && (m.LogStart != r.end || log.Start() != r.end): // else it has begun there
		return Begin, m.LogStart
	case m.Code != message.OK:
		return Pause, unknown
	case planted.Is(planted.CutByMark) && r.told == unknown && r.end > max(r.high, log.Start()):
		return Cut, max(r.high, log.Start())
	case m.DivergingEpoch < 0:
		return Copy, unknown
	}
	return r.cut(m, log)
}

// cut is where a log parts from its leader's: at the end of the largest epoch that both have, which is the smaller of both ends.
func (r *Replica) cut(m *message.Pulled, log Log) (Step, int64) {
	_, end := log.EpochEnd(m.DivergingEpoch)
	to := max(min(end, m.DivergingEnd), log.Start())
	if to >= r.end { // what it says of itself is not what the leader was told
		return Pause, unknown
	}
	return Cut, to
}

// Told is the leader's word on what is committed. It is believed as far as the log goes, which is a prefix of the leader's.
func (r *Replica) Told(high int64) Out {
	r.told = max(r.told, high)
	return r.decide()
}
