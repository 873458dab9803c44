package replica

import (
	"math"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// wish is what a leader has proposed since the last word on who is in sync. As long as it may yet be granted, the high
// watermark waits for everybody in the set as it is and as it may be: whom the controller has just taken in could be the next
// leader, and whom it has not yet taken out as well.
type wish struct {
	open bool             // nobody has answered
	more []message.NodeID // who is to be in sync and was not
}

// Lags says that somebody in the in-sync set has not everything: look again, at the latest when half of the lag that is allowed has passed.
func (r *Replica) Lags() bool {
	return slices.ContainsFunc(r.followers, func(f follower) bool {
		return f.durable(r.office.Config.Fsync) < r.end && slices.Contains(r.office.ISR, f.node)
	})
}

// Propose says who should be in sync, if that is another set than it is, and no wish is open: without those that have not had everything
// for longer than lag (replica.lag.time.max.ms), with those that have caught up with what is committed and with where
// this leader began, and have deleted what it has. The leader stays in it unless its disk has no room. The partition's name is the caller's to fill in.
func (r *Replica) Propose(now time.Time, lag time.Duration) *message.NewISR {
	set := r.office.ISR
	switch {
	case !r.Leads() || r.wish.open:
		return nil
	case (r.stuck || r.resigned) && len(set) > 1: // the controller elects another of them, or has done so
		r.wish.open, r.stuck, r.resigned = true, false, true
		return r.wishes(except(set, r.self))
	case r.found == math.MaxInt64: // before the log was open nobody can have too little
		return nil
	}
	for i := range r.followers {
		switch f := &r.followers[i]; r.should(f, now, lag) {
		case leave:
			set = except(set, f.node)
			f.counts = f.counts && !planted.Is(planted.ShrinkEarly)
		case enter:
			set = append(slices.Clip(set), f.node)
			r.await(f)
		}
	}
	if slices.Equal(set, r.office.ISR) {
		return nil
	}
	r.wish.open = true
	return r.wishes(set)
}

func (r *Replica) wishes(set []message.NodeID) *message.NewISR {
	return &message.NewISR{LeaderEpoch: r.office.LeaderEpoch, PartitionEpoch: r.office.PartitionEpoch, ISR: set}
}

func except(set []message.NodeID, node message.NodeID) []message.NodeID {
	return slices.DeleteFunc(slices.Clone(set), func(n message.NodeID) bool { return n == node })
}

// Stuck says that a node's replica cannot have what comes next: its disk has no room, or nothing reaches it from here. A follower need not
// be waited for until it has more than before; this node itself, while it leads, gives that up to another that is in sync.
func (r *Replica) Stuck(node message.NodeID) {
	if node == r.self {
		r.stuck = r.Leads() && len(r.office.ISR) > 1
	} else if i := indexOf(r.followers, node); i >= 0 {
		r.followers[i].stuck = true
	}
}

// What a follower should do.
const (
	stay = iota
	leave
	enter
)

func (r *Replica) should(f *follower, now time.Time, lag time.Duration) int {
	durable := f.durable(r.office.Config.Fsync)
	late := durable < r.end && now.Sub(f.caughtUp) > lag
	switch in := slices.Contains(r.office.ISR, f.node); {
	case in && (late || f.stuck && durable < r.end):
		return leave
	case planted.Is(planted.GrowthEarly) && !in && durable >= 0:
		return enter
	case !in && durable >= max(r.mayBeCommitted(), r.begun) && f.start >= r.start && !late:
		return enter
	}
	return stay
}

// mayBeCommitted is the end of what may be committed: while the high watermark is not known, everything that was found.
func (r *Replica) mayBeCommitted() int64 {
	if r.high == unknown {
		return r.found
	}
	return r.high
}

// await lets a follower hold back the high watermark from now on.
func (r *Replica) await(f *follower) {
	f.counts = true
	if !slices.Contains(r.wish.more, f.node) {
		r.wish.more = append(r.wish.more, f.node)
	}
}

// Hope takes up what an earlier instance of this leader has proposed, of which nobody knows what became.
func (r *Replica) Hope(asked *message.NewISR) {
	if !r.Leads() || asked == nil || asked.LeaderEpoch != r.office.LeaderEpoch || asked.PartitionEpoch != r.office.PartitionEpoch {
		return
	}
	r.resigned = !slices.Contains(asked.ISR, r.self)
	for i := range r.followers {
		if f := &r.followers[i]; !f.counts && slices.Contains(asked.ISR, f.node) {
			r.await(f)
		}
	}
}

// Unheard says that nobody knows what became of the wish: it may be repeated, and it may yet be granted. Who has resigned asks until it knows.
func (r *Replica) Unheard() { r.wish.open = false }

// Refused says that the wish will not be granted: who was to be in sync is not waited for.
func (r *Replica) Refused() Out {
	r.wish, r.resigned = wish{}, false
	for i := range r.followers {
		r.followers[i].counts = slices.Contains(r.office.ISR, r.followers[i].node)
	}
	return r.decide()
}
