package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// OffsetFetch tells what groups have committed, offset -1 where that is nothing (S73, S74). v2 asks for all of a group and has a code for
// it, v5 tells leader epochs (KIP-320), v6 is flexible, v7 waits for transactions (KIP-447), v8 asks for several groups (KIP-709), v9
// for groups whose members have epochs (KIP-848), v10 names topics by id.
var offsetFetchAPI = api{key: 9, min: 1, max: 10, start: decoded(onOffsetFetch), shape: "s@-7 (s [4])@-7 (s s@9+ 4@9+ (s@-9 16@10+ [4]))@8+ 1@7+"}

func onOffsetFetch(c stage.Context, r *Request, q *kmsg.OffsetFetchRequest) {
	groups := q.Groups
	if r.Version < 8 {
		groups = []kmsg.OffsetFetchRequestGroup{oneGroup(q)}
	}
	resp := kmsg.NewPtrOffsetFetchResponse()
	resp.Groups = make([]kmsg.OffsetFetchResponseGroup, len(groups))
	g := gathering(func(c stage.Context) {
		if r.Version < 8 {
			onlyGroup(resp)
		}
		r.Answer(c, resp)
	})
	for i := range groups {
		fetchGroup(c, r, &groups[i], q.RequireStable, &resp.Groups[i], g)
	}
	g.begin(c)
}

// oneGroup is a question below v8 as v8 asks it. A null list is all.
func oneGroup(q *kmsg.OffsetFetchRequest) kmsg.OffsetFetchRequestGroup {
	one := kmsg.NewOffsetFetchRequestGroup()
	if one.Group = q.Group; q.Topics != nil {
		one.Topics = make([]kmsg.OffsetFetchRequestGroupTopic, len(q.Topics))
	}
	for i, t := range q.Topics {
		one.Topics[i] = kmsg.OffsetFetchRequestGroupTopic{Topic: t.Topic, Partitions: t.Partitions}
	}
	return one
}

// onlyGroup puts the one group of an answer where versions below v8 have it.
func onlyGroup(resp *kmsg.OffsetFetchResponse) {
	one := resp.Groups[0]
	resp.Groups, resp.ErrorCode = nil, one.ErrorCode
	for _, t := range one.Topics {
		out := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			out.Partitions = append(out.Partitions, kmsg.OffsetFetchResponseTopicPartition(p))
		}
		resp.Topics = append(resp.Topics, out)
	}
}

// fetchGroup answers for one group, now or later, and then leaves the gathering.
func fetchGroup(c stage.Context, r *Request, q *kmsg.OffsetFetchRequestGroup, stable bool, out *kmsg.OffsetFetchResponseGroup, g *gather) {
	g.left++
	out.Group = q.Group
	finish := func(c stage.Context, got *message.OffsetsFetched, code message.Code) {
		if code == message.OK {
			code = got.Code
		}
		if code == message.OK && q.Topics != nil && !fits(r, q, got) {
			code = message.UnknownServerError
		}
		fetchedGroup(r, q, got, code, out)
		g.arrived(c)
	}
	at, code := r.coordinator(q.Group)
	if code != message.OK {
		finish(c, &message.OffsetsFetched{}, code)
		return
	}
	ask := &message.FetchOffsets{Group: q.Group, Member: value(q.MemberID), Epoch: q.MemberEpoch, All: q.Topics == nil, RequireStable: stable}
	for i := range q.Topics {
		if name, ok := fetchedName(r, &q.Topics[i]); ok {
			ask.Topics = append(ask.Topics, message.OffsetTopic{Topic: name, Partitions: q.Topics[i].Partitions})
		}
	}
	askCoordinator(c, r, at, ask, coordinatorPatience, message.CoordinatorNotAvailable, finish)
}

// fetchedName is a topic's name; ok is false for an id that no topic has.
func fetchedName(r *Request, q *kmsg.OffsetFetchRequestGroupTopic) (name string, ok bool) {
	if r.Version < 10 {
		return q.Topic, true
	}
	if t := r.Image.TopicByID(q.TopicID); t != nil {
		return t.Name, true
	}
	return "", false
}

// fits says that an answer has a topic for each that was asked for.
func fits(r *Request, q *kmsg.OffsetFetchRequestGroup, got *message.OffsetsFetched) bool {
	n := 0
	for i := range q.Topics {
		if _, ok := fetchedName(r, &q.Topics[i]); ok {
			n++
		}
	}
	return n == len(got.Topics)
}

// fetchedGroup writes a group's offsets in the order of the question. Version 1 has no code for the group: there it is every
// partition's.
func fetchedGroup(r *Request, q *kmsg.OffsetFetchRequestGroup, got *message.OffsetsFetched, code message.Code, out *kmsg.OffsetFetchResponseGroup) {
	out.ErrorCode = int16(code)
	switch {
	case code != message.OK && r.Version > 1:
		return
	case q.Topics == nil:
		allFetched(r, got, out)
		return
	}
	rest := got.Topics
	for i := range q.Topics {
		qt := &q.Topics[i]
		rt := kmsg.OffsetFetchResponseGroupTopic{Topic: qt.Topic, TopicID: qt.TopicID}
		if _, known := fetchedName(r, qt); code != message.OK || !known {
			rt.Partitions = unfetched(qt.Partitions, either(code, message.UnknownTopicID))
		} else {
			rt.Partitions = fetchedOffsets(rest[0].Offsets)
			rest = rest[1:]
		}
		out.Topics = append(out.Topics, rt)
	}
}

// either is the first code that is not OK.
func either(first, second message.Code) message.Code {
	if first != message.OK {
		return first
	}
	return second
}

// allFetched writes whatever a group has committed. From v10 on a topic that is there no more has no id to be named by.
func allFetched(r *Request, got *message.OffsetsFetched, out *kmsg.OffsetFetchResponseGroup) {
	for _, t := range got.Topics {
		rt := kmsg.OffsetFetchResponseGroupTopic{Topic: t.Topic, Partitions: fetchedOffsets(t.Offsets)}
		known := r.Image.Topic(t.Topic)
		if r.Version >= 10 && known == nil {
			continue
		}
		if known != nil {
			rt.TopicID = known.ID
		}
		out.Topics = append(out.Topics, rt)
	}
}

func fetchedOffsets(offsets []message.FetchedOffset) []kmsg.OffsetFetchResponseGroupTopicPartition {
	out := make([]kmsg.OffsetFetchResponseGroupTopicPartition, len(offsets))
	for i := range offsets {
		o := &offsets[i]
		out[i] = kmsg.OffsetFetchResponseGroupTopicPartition{Partition: o.Partition, Offset: o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: &o.Metadata, ErrorCode: int16(o.Code)}
	}
	return out
}

func unfetched(partitions []int32, code message.Code) []kmsg.OffsetFetchResponseGroupTopicPartition {
	none := make([]message.FetchedOffset, len(partitions))
	for i, p := range partitions {
		none[i] = message.FetchedOffset{Partition: p, Offset: -1, LeaderEpoch: -1, Code: code}
	}
	return fetchedOffsets(none)
}
