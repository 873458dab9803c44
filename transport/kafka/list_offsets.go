package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// ListOffsets finds offsets by time (KIP-79). v2 has isolation levels, v4 leader epochs (KIP-320), v7 the largest timestamp
// (KIP-734), v8 the earliest local offset (KIP-405), v9 the latest tiered one (KIP-1005), v10 the client's timeout, v11 the
// earliest that waits to be tiered (KIP-1023).
var listOffsetsAPI = api{key: 2, min: 1, max: 11, start: decoded(onListOffsets),
	shape: "4 1@2+ ( s ( 4 4@4+ 8 ) ) 4@10+"}

// Timestamps with a meaning of their own, and the versions that know them (S48).
const (
	timeLatest        = -1
	timeEarliest      = -2
	timeLargest       = -3 // v7
	timeEarliestLocal = -4 // v8
	timeLatestTiered  = -5 // v9
	timePendingUpload = -6 // v11
)

var timeSince = map[int64]int16{timeLatest: 0, timeEarliest: 0, timeLargest: 7, timeEarliestLocal: 8, timeLatestTiered: 9, timePendingUpload: 11}

// searchCost is about how long it takes to look for a timestamp in a segment.
const searchCost = 2 * time.Millisecond

func onListOffsets(c stage.Context, r *Request, q *kmsg.ListOffsetsRequest) {
	resp := kmsg.NewPtrListOffsetsResponse()
	g := gathering(func(c stage.Context) { r.Answer(c, resp) })
	resp.Topics = make([]kmsg.ListOffsetsResponseTopic, len(q.Topics))
	twice := duplicates(q)
	for i := range q.Topics {
		t, rt := &q.Topics[i], &resp.Topics[i]
		rt.Topic = t.Topic
		rt.Partitions = make([]kmsg.ListOffsetsResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			rp := &rt.Partitions[j]
			*rp = kmsg.NewListOffsetsResponseTopicPartition()
			if rp.Partition = t.Partitions[j].Partition; twice[message.NamedPartition{Topic: t.Topic, Index: rp.Partition}] > 1 {
				rp.ErrorCode = int16(message.InvalidRequest)
				continue
			}
			g.left++
			listOffset(c, r, q.IsolationLevel == 1, t.Topic, &t.Partitions[j], rp, g)
		}
	}
	g.begin(c)
}

// duplicates counts how often partitions are named (S49).
func duplicates(q *kmsg.ListOffsetsRequest) map[message.NamedPartition]int {
	n := map[message.NamedPartition]int{}
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			n[message.NamedPartition{Topic: q.Topics[i].Topic, Index: q.Topics[i].Partitions[j].Partition}]++
		}
	}
	return n
}

// listOffset answers for one partition, now or later, and then leaves the gathering.
func listOffset(c stage.Context, r *Request, committed bool, topic string, q *kmsg.ListOffsetsRequestTopicPartition, rp *kmsg.ListOffsetsResponseTopicPartition, g *gather) {
	r.leaderView(c, topic, q.Partition, q.CurrentLeaderEpoch, func(c stage.Context, view message.View, code message.Code) {
		since, special := timeSince[q.Timestamp]
		if code == message.OK && (q.Timestamp < 0 && !special || r.Version < since) {
			code = message.UnsupportedVersion
		}
		if rp.ErrorCode = int16(code); code != message.OK {
			g.arrived(c)
			return
		}
		b := view.Bounds()
		limit := b.HighWatermark
		if committed {
			limit = b.LastStable
		}
		switch q.Timestamp {
		case timeLatest:
			rp.Offset, rp.LeaderEpoch = limit, view.EpochAt(limit-1)
		case timeEarliest, timeEarliestLocal:
			rp.Offset, rp.LeaderEpoch = b.LogStart, view.EpochAt(b.LogStart)
		case timeLatestTiered, timePendingUpload: // nothing is tiered, nothing waits to be
		default:
			searchOffset(c, r, view, q.Timestamp, limit, rp, g)
			return
		}
		g.arrived(c)
	})
}

// searched is what a search by time found.
type searched struct {
	at    message.TimedOffset
	found bool
	err   error
}

// searchOffset reads the log, elsewhere: the first record that is not older, or the one with the largest timestamp.
func searchOffset(c stage.Context, r *Request, view message.View, millis, limit int64, rp *kmsg.ListOffsetsResponseTopicPartition, g *gather) {
	work := func() any {
		s := &searched{}
		if millis == timeLargest {
			s.at, s.found, s.err = view.MaxTimestamp(limit)
		} else {
			s.at, s.found, s.err = view.OffsetForTime(millis, limit)
		}
		return s
	}
	r.Offload(c, searchCost, work, func(c stage.Context, result any) {
		switch s := result.(*searched); {
		case s.err != nil:
			c.Log().Error("a search by time failed", "time", millis, "why", s.err)
			rp.ErrorCode = int16(message.KafkaStorageError)
		case s.found:
			rp.Offset, rp.Timestamp, rp.LeaderEpoch = s.at.Offset, s.at.Timestamp, s.at.LeaderEpoch
		}
		g.arrived(c)
	})
}
