package txn

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// transaction is a transactional id, its producer, and its newest transaction.
type transaction struct {
	id       string
	producer int64
	epoch    int16 // that the producer has, or that fences it
	last     int16 // the epoch before, whose owner may ask for this one again (KIP-360); -1: nobody may
	previous int64 // the id that the producer had before; -1: none
	next     int64 // the id that the producer has from the end of this transaction on; -1: the same
	timeout  time.Duration
	state    state
	parts    []message.NamedPartition // sorted; while it ends, those that have not been told
	started  int64                    // milliseconds; -1: it never was
	updated  int64                    // milliseconds
	version  int16                    // that the producer spoke when it ended its transaction
}

// state is a transaction's, by its number in the log.
type state uint8

const (
	empty state = iota
	ongoing
	prepareCommit
	prepareAbort
	completeCommit
	completeAbort
	dead
	prepareEpochFence
)

var stateNames = message.TransactionStates()

// String is the name on the wire (S98).
func (s state) String() string { return stateNames[s] }

// ending says that partitions are being told.
func (s state) ending() bool { return s == prepareCommit || s == prepareAbort }

// resting says that nothing is open.
func (s state) resting() bool { return s == empty || s == completeCommit || s == completeAbort }

// exhausted says that the producer id has no epoch left for its producer: the one above is kept for fencing it.
func (x *transaction) exhausted() bool { return x.epoch >= math.MaxInt16-1 }

func comparePart(a, b message.NamedPartition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return cmp.Compare(a.Index, b.Index)
}

func (x *transaction) has(p message.NamedPartition) bool {
	_, found := slices.BinarySearchFunc(x.parts, p, comparePart)
	return found
}

// include takes partitions in; false if all of them are there.
func (x *transaction) include(parts []message.NamedPartition) (grown bool) {
	for _, p := range parts {
		if at, found := slices.BinarySearchFunc(x.parts, p, comparePart); !found {
			x.parts, grown = slices.Insert(x.parts, at, p), true
		}
	}
	return grown
}

// exclude takes out a partition that needs no marker any more.
func (x *transaction) exclude(p message.NamedPartition) {
	if at, found := slices.BinarySearchFunc(x.parts, p, comparePart); found {
		x.parts = slices.Delete(x.parts, at, at+1)
	}
}

// turn changes the state, and keeps account of those that are open.
func (t *Transactions) turn(x *transaction, s state) {
	if x.state = s; s == ongoing {
		t.open[x] = struct{}{}
	} else {
		delete(t.open, x)
	}
}

// sorted are transactions by their ids.
func sorted[K comparable, V any](all map[K]V, of func(K, V) *transaction) []*transaction {
	list := make([]*transaction, 0, len(all))
	for k, v := range all {
		list = append(list, of(k, v))
	}
	slices.SortFunc(list, func(a, b *transaction) int { return strings.Compare(a.id, b.id) })
	return list
}

func (t *Transactions) all() []*transaction {
	return sorted(t.named, func(_ string, x *transaction) *transaction { return x })
}

func (t *Transactions) opened() []*transaction {
	return sorted(t.open, func(x *transaction, _ struct{}) *transaction { return x })
}
