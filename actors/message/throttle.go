package message

import "time"

// Side is which end of replication a throttle is about: a leader's or a follower's (KIP-73). Each has a rate of its own on each node.
type Side uint8

// The sides.
const (
	LeaderSide Side = iota
	FollowerSide
	Sides // how many there are
)

// Draw asks this node's broker how much a throttled replica may move now. All of a node's replicas draw from one budget.
type Draw struct {
	Side Side
	Most int32 // bytes that are of use
}

// Drawn answers Draw.
type Drawn struct {
	Side  Side
	Bytes int32         // that may be moved now; 0: none
	Wait  time.Duration // and then there may be some
}

// Spent corrects what was drawn: so many bytes more than that were moved, since batches are whole, or fewer, if it is negative.
type Spent struct {
	Side  Side
	Bytes int64
}
