package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// threeRacks are this node and two more, each in a rack of its own; partition t-0 is on all of them.
func threeRacks(leader message.NodeID, isr ...message.NodeID) *image.Image {
	return cluster(map[string]int{"t": 1}, node(1, "a"), node(2, "b"), node(3, "c"),
		&message.PartitionRecord{Partition: at("t", 0), Leader: leader, LeaderEpoch: epoch, Replicas: []message.NodeID{1, 2, 3}, ISR: isr})
}

func node(id message.NodeID, rack string) *message.BrokerRecord {
	return &message.BrokerRecord{Node: id, Rack: rack, Endpoints: []message.Endpoint{{Listener: "PLAINTEXT", Host: "h" + rack, Port: 9000 + int32(id), Protocol: "PLAINTEXT"}}}
}

// rackAware lets the broker send consumers to the replica in their rack.
func rackAware(o *Options) {
	o.Static = setting.NewValues(map[string]string{"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"})
}

// following is a log of a replica that does not lead.
func following(l *log, committed int64) *log {
	l.bounds.IsLeader, l.bounds.Leader = false, 2
	l.bounds.HighWatermark, l.bounds.LastStable = committed, committed
	return l
}

// S40: "preferred_read_replica returned only to consumers that sent rack_id and replica.selector.class set; records empty
// then." S30: "Respond at once iff ... preferred replica."
func TestConsumersAreSentToTheirRack(t *testing.T) {
	for _, c := range []struct {
		what    string
		version int16
		rack    string
		img     *image.Image
		change  []func(*Options)
		want    int32
	}{
		{"its rack", 11, "b", threeRacks(1, 1, 2, 3), []func(*Options){rackAware}, 2},
		{"its rack, newest version", 18, "c", threeRacks(1, 1, 2, 3), []func(*Options){rackAware}, 3},
		{"the leader's rack", 18, "a", threeRacks(1, 1, 2, 3), []func(*Options){rackAware}, -1},
		{"no rack", 18, "", threeRacks(1, 1, 2, 3), []func(*Options){rackAware}, -1},
		{"an unknown rack", 18, "z", threeRacks(1, 1, 2, 3), []func(*Options){rackAware}, -1},
		{"not in sync", 18, "b", threeRacks(1, 1, 3), []func(*Options){rackAware}, -1},
		{"fenced", 18, "b", with(threeRacks(1, 1, 2, 3), &message.FenceRecord{Node: 2, Fenced: true}), []func(*Options){rackAware}, -1},
		{"no selector", 18, "b", threeRacks(1, 1, 2, 3), nil, -1},
	} {
		h := newHouse(t, c.img, c.change...)
		h.views[address("t", 0)] = newLog(3)
		q := fetchOf(500, 1<<20, "t", 0)
		q.Rack = c.rack
		h.ask(q, c.version, 1)
		if waits := len(h.wire.answers) == 0; waits != (c.want < 0) {
			t.Errorf("%s: waits is %v", c.what, waits)
		}
		h.sleep(time.Second)
		p := read(h, kmsg.NewPtrFetchResponse(), c.version, 1).Topics[0].Partitions[0]
		if p.PreferredReadReplica != c.want || p.ErrorCode != 0 || p.HighWatermark != 3 || (len(p.RecordBatches) == 0) != (c.want >= 0) {
			t.Errorf("%s: %+v", c.what, p)
		}
	}
}

// S38: "Incremental response contains only partitions with: records, ..., preferred replica." It is told with every fetch
// that comes here all the same.
func TestAPreferredReplicaIsNewsInASession(t *testing.T) {
	h := newHouse(t, threeRacks(1, 1, 2, 3), rackAware)
	h.views[address("t", 0)] = newLog(3)
	q := fetchOf(500, 1, "t", 0)
	q.Rack, q.SessionEpoch = "b", 0
	first := call(h, q, kmsg.NewPtrFetchResponse(), 18)
	for next := int32(1); next < 4; next++ {
		again := kmsg.NewPtrFetchRequest()
		again.MaxWaitMillis, again.MinBytes, again.MaxBytes, again.SessionID, again.SessionEpoch, again.Rack = 500, 1, 1<<20, first.SessionID, next, "b"
		r := call(h, again, kmsg.NewPtrFetchResponse(), 18)
		if len(r.Topics) != 1 || r.Topics[0].Partitions[0].PreferredReadReplica != 2 {
			t.Errorf("fetch %d: %+v", next, r)
		}
	}
}

// KIP-392: a follower serves consumers what is committed as far as it knows. What it does not have yet is
// OFFSET_NOT_AVAILABLE, not out of range: the leader has it. Versions below 11 know only leaders.
func TestFollowersServeConsumers(t *testing.T) {
	for _, c := range []struct {
		what    string
		version int16
		offset  int64
		code    message.Code
		batches int
	}{
		{"committed", 11, 0, message.OK, 2},
		{"committed, newest version", 18, 1, message.OK, 1},
		{"not committed", 18, 2, message.OK, 0},
		{"its own end", 18, 3, message.OK, 0},
		{"beyond its end", 18, 4, message.OffsetNotAvailable, 0},
		{"an old version", 10, 0, message.NotLeaderOrFollower, 0},
	} {
		h := newHouse(t, threeRacks(2, 1, 2, 3))
		h.views[address("t", 0)] = following(newLog(1, 1, 1), 2)
		q := fetchOf(0, 1, "t", 0)
		q.Topics[0].Partitions[0].FetchOffset = c.offset
		p := call(h, q, kmsg.NewPtrFetchResponse(), c.version).Topics[0].Partitions[0]
		if p.ErrorCode != int16(c.code) || len(p.RecordBatches) != c.batches*len(newLog(1).bytes) {
			t.Errorf("%s: code %d, %d bytes", c.what, p.ErrorCode, len(p.RecordBatches))
		}
	}
}

// A follower's fetch waits for its own high watermark, and a node that does not take part, or keeps no copy, serves nothing.
func TestFollowersWakeAndRefuse(t *testing.T) {
	h := newHouse(t, threeRacks(2, 1, 2, 3))
	h.views[address("t", 0)] = following(newLog(1), 0)
	h.ask(fetchOf(500, 1, "t", 0), 18, 1)
	h.silent()
	h.change(0, following(newLog(1), 1))
	if p := read(h, kmsg.NewPtrFetchResponse(), 18, 1).Topics[0].Partitions[0]; p.HighWatermark != 1 || len(p.RecordBatches) == 0 {
		t.Errorf("woken: %+v", p)
	}
	elsewhere := &message.PartitionRecord{Partition: at("t", 0), Leader: 2, LeaderEpoch: epoch, Replicas: []message.NodeID{2, 3}, ISR: []message.NodeID{2}}
	for what, img := range map[string]*image.Image{
		"fenced":  with(threeRacks(2, 1, 2, 3), &message.FenceRecord{Node: 1, Fenced: true}),
		"no copy": with(threeRacks(2, 1, 2, 3), elsewhere),
	} {
		h := newHouse(t, img)
		h.views[address("t", 0)] = following(newLog(1), 1)
		if p := call(h, fetchOf(500, 1, "t", 0), kmsg.NewPtrFetchResponse(), 18).Topics[0].Partitions[0]; p.ErrorCode != int16(message.NotLeaderOrFollower) || p.CurrentLeader.LeaderID != 2 {
			t.Errorf("%s: %+v", what, p)
		}
	}
}
