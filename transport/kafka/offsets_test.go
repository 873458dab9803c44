package kafka

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

func listOf(committed int8, millis ...int64) *kmsg.ListOffsetsRequest {
	q := kmsg.NewPtrListOffsetsRequest()
	q.IsolationLevel = committed
	t := kmsg.ListOffsetsRequestTopic{Topic: "t"}
	for i, m := range millis {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = int32(i), m
		t.Partitions = append(t.Partitions, p)
	}
	q.Topics = append(q.Topics, t)
	return q
}

// S48: "ts -1 latest = HW (LSO if isolation=1) with its leader epoch; -2 earliest=logStart; -3 max timestamp (v7+); -4
// earliest-local (v8+); -5 latest-tiered (v9+), -1 when no tiering; -6 earliest-pending-upload (v11+). Special ts in a version
// too low -> UNSUPPORTED_VERSION per partition. ts>=0: first record with timestamp >= ts, none -> (-1,-1), error NONE.
// Timestamps of -1/-2 answers are -1."
func TestOffsetsAreFoundByTime(t *testing.T) {
	l := newLog(2, 3)
	l.bounds.LogStart, l.bounds.LastStable = 1, 3
	late := noon.UnixMilli() + 1
	for _, c := range []struct {
		version   int16
		committed int8
		millis    int64
		code      int16
		offset    int64
		time      int64
	}{
		{1, 0, -1, 0, 5, -1}, {2, 1, -1, 0, 3, -1}, {1, 0, -2, 0, 1, -1}, {7, 0, -3, 0, 4, noon.UnixMilli()}, {6, 0, -3, 35, -1, -1},
		{8, 0, -4, 0, 1, -1}, {7, 0, -4, 35, -1, -1}, {9, 0, -5, 0, -1, -1}, {8, 0, -5, 35, -1, -1}, {11, 0, -6, 0, -1, -1}, {10, 0, -6, 35, -1, -1},
		{1, 0, 0, 0, 1, noon.UnixMilli()}, {11, 0, late, 0, -1, -1}, {11, 0, -7, 35, -1, -1},
	} {
		h := library(t, 1, func(int) *log { return l })
		p := call(h, listOf(c.committed, c.millis), kmsg.NewPtrListOffsetsResponse(), c.version).Topics[0].Partitions[0]
		if p.ErrorCode != c.code || p.Offset != c.offset || p.Timestamp != c.time {
			t.Errorf("%+v: %+v", c, p)
		}
		if c.version >= 4 && p.Offset >= 0 && p.LeaderEpoch != epoch {
			t.Errorf("%+v: leader epoch %d", c, p.LeaderEpoch)
		}
	}
}

// S49: "duplicate partition in one request -> INVALID_REQUEST for it."
func TestAPartitionNamedTwiceIsRefused(t *testing.T) {
	h := library(t, 2, empty)
	q := listOf(0, -1, -1)
	q.Topics[0].Partitions = append(q.Topics[0].Partitions, q.Topics[0].Partitions[0])
	ps := call(h, q, kmsg.NewPtrListOffsetsResponse(), 4).Topics[0].Partitions
	if ps[0].ErrorCode != 42 || ps[1].ErrorCode != 0 || ps[2].ErrorCode != 42 {
		t.Errorf("%+v", ps)
	}
}

// Partitions that have not opened are made to; errors of the file system are the partition's own.
func TestOffsetsOfPartitionsInTrouble(t *testing.T) {
	h := library(t, 3, func(i int) *log { return []*log{nil, {failing: errors.New("broken")}, nil}[i] })
	h.views[address("t", 1)].(*log).bounds = newLog(1).bounds
	h.ask(listOf(0, -1, 5, -1), 4, 1)
	h.silent()
	h.answer(h.asks[1], &stage.Down{})
	h.change(0, newLog(7))
	ps := read(h, kmsg.NewPtrListOffsetsResponse(), 4, 1).Topics[0].Partitions
	if ps[0].Offset != 7 || ps[1].ErrorCode != 56 || ps[2].ErrorCode != 56 {
		t.Errorf("%+v", ps)
	}
}

// S51: "OffsetForLeaderEpoch(e): returns largest epoch <= e and its end offset; unknown/undefined -> (-1,-1). Same
// current_leader_epoch fencing."
func TestEpochsEnd(t *testing.T) {
	l := newLog(5, 5)
	l.epochs = [][2]int64{{2, 5}, {5, 10}}
	for _, c := range []struct {
		asked, theirs int32
		code          int16
		epoch         int32
		end           int64
	}{{2, -1, 0, 2, 5}, {4, 5, 0, 2, 5}, {5, -1, 0, 5, 10}, {1, -1, 0, -1, -1}, {2, 4, 74, -1, -1}, {2, 6, 75, -1, -1}} {
		for version := int16(2); version <= 4; version++ {
			h := library(t, 1, func(int) *log { return l })
			q := kmsg.NewPtrOffsetForLeaderEpochRequest()
			q.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: c.theirs, LeaderEpoch: c.asked}}}}
			p := call(h, q, kmsg.NewPtrOffsetForLeaderEpochResponse(), version).Topics[0].Partitions[0]
			if p.ErrorCode != c.code || p.LeaderEpoch != c.epoch || p.EndOffset != c.end {
				t.Errorf("%+v: %+v", c, p)
			}
		}
	}
}

// S88: "InitProducerId: null txn id -> fresh pid, epoch 0; ” -> INVALID_REQUEST." Coordinators come later.
func TestIdempotentProducersGetIDs(t *testing.T) {
	name, none := "txn", ""
	for version := int16(0); version <= 5; version++ {
		h := newHouse(t, cluster(nil))
		h.plays = func(to message.Address, what any) any {
			if _, ok := what.(*message.NewProducerID); !ok || to != message.BrokerAt(me) {
				t.Errorf("%v was asked %T", to, what)
			}
			return &message.ProducerID{ID: 4711}
		}
		if r := call(h, kmsg.NewPtrInitProducerIDRequest(), kmsg.NewPtrInitProducerIDResponse(), version); r.ErrorCode != 0 || r.ProducerID != 4711 || r.ProducerEpoch != 0 {
			t.Errorf("version %d: %+v", version, r)
		}
		for id, code := range map[*string]int16{&none: 42, &name: 15} {
			q := kmsg.NewPtrInitProducerIDRequest()
			q.TransactionalID = id
			if r := call(h, q, kmsg.NewPtrInitProducerIDResponse(), version); r.ErrorCode != code || r.ProducerID != -1 || r.ProducerEpoch != -1 {
				t.Errorf("version %d, %q: %+v", version, *id, r)
			}
		}
	}
}
