package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// What the log of __consumer_offsets has are Kafka's records (section 4.4 of its internals), so that its tools can read them:
//
//	key   0 2 version (0, 1)  2 . group, topic, partition      value: OffsetCommitValue version 3, or 1 with a retention of its own
//	key   0 2 version (2)     2 . group                        value: GroupMetadataValue version 3
const (
	offsetKeyVersion    = 1
	groupKeyVersion     = 2
	offsetValueVersion  = 3
	expiresValueVersion = 1
	groupValueVersion   = 3
)

// version is the one that has room for what is known of an offset: only the first has its retention.
func (is *offset) version() int16 {
	if is.expires != 0 {
		return expiresValueVersion
	}
	return offsetValueVersion
}

func offsetRecord(group, topic string, partition int32, is *offset) Record {
	key := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: group, Topic: topic, Partition: partition}
	r := Record{Key: key.AppendTo(nil)}
	if is != nil {
		value := kmsg.OffsetCommitValue{Version: is.version(), ExpireTimestamp: is.expires, Offset: is.at, LeaderEpoch: is.epoch, Metadata: is.metadata, CommitTimestamp: is.time}
		r.Value = value.AppendTo(nil)
	}
	return r
}

func groupKey(name string) []byte {
	key := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: name}
	return key.AppendTo(nil)
}

// record is what is kept of a generation.
func (o *Group) record() Record {
	v := kmsg.GroupMetadataValue{Version: groupValueVersion, ProtocolType: o.protocolType, Generation: o.generation, CurrentStateTimestamp: o.since.UnixMilli()}
	if len(o.members) > 0 {
		v.Protocol, v.Leader = &o.protocol, &o.leader
	}
	for _, m := range o.members {
		one := kmsg.GroupMetadataValueMember{MemberID: m.id, ClientID: m.clientID, ClientHost: m.host, RebalanceTimeoutMillis: int32(m.rebalance.Milliseconds()),
			SessionTimeoutMillis: int32(m.session.Milliseconds()), Subscription: m.metadata(o.protocol), Assignment: m.assignment}
		if m.instance != "" {
			one.InstanceID = &m.instance
		}
		v.Members = append(v.Members, one)
	}
	return Record{Key: groupKey(o.name), Value: v.AppendTo(nil)}
}

// Replay takes a record of the log. An error says what is wrong with it; it has then changed nothing.
func (g *Groups) Replay(now time.Time, r Record) error {
	if len(r.Key) < 2 {
		return errors.New("the key has no version")
	}
	switch version := binary.BigEndian.Uint16(r.Key); version {
	case 0, offsetKeyVersion:
		return g.replayOffset(now, r)
	case groupKeyVersion:
		return g.replayGroup(now, r)
	case epochKey, topicsKey, describedKey, targetEpochKey, targetKey, progressKey, patternKey:
		return g.replayConsumer(now, int16(version), r)
	default:
		return fmt.Errorf("nobody knows keys of version %d", version)
	}
}

func (g *Groups) replayOffset(now time.Time, r Record) error {
	var key kmsg.OffsetCommitKey
	if err := key.ReadFrom(r.Key); err != nil {
		return fmt.Errorf("the key of an offset: %w", err)
	}
	o := g.named[key.Group]
	if r.Value == nil {
		g.txns.forget(spot{key.Group, key.Topic, key.Partition})
		if o != nil {
			o.forget(key.Topic, key.Partition)
			g.unless(o)
		}
		return nil
	}
	var v kmsg.OffsetCommitValue
	if err := v.ReadFrom(r.Value); err != nil {
		return fmt.Errorf("the value of an offset: %w", err)
	}
	epoch := v.LeaderEpoch
	if v.Version < 3 {
		epoch = -1
	}
	g.order++
	is := offset{at: v.Offset, epoch: epoch, metadata: v.Metadata, topicID: v.TopicID, time: v.CommitTimestamp, order: g.order}
	if v.Version == expiresValueVersion && v.ExpireTimestamp >= 0 {
		is.expires = v.ExpireTimestamp
	}
	switch {
	case r.Txn == nil:
		g.found(now, key.Group).put(key.Topic, key.Partition, is)
	case !planted.Is(planted.PendingForgotten):
		g.txns.add(*r.Txn, pendingOffset{spot{key.Group, key.Topic, key.Partition}, is})
	}
	return nil
}

// unless forgets a group of which nothing is left while the log is replayed.
func (g *Groups) unless(o *Group) {
	if o.vain() && !o.written() {
		delete(g.named, o.name)
	}
}

func (g *Groups) replayGroup(now time.Time, r Record) error {
	var key kmsg.GroupMetadataKey
	if err := key.ReadFrom(r.Key); err != nil {
		return fmt.Errorf("the key of a group: %w", err)
	}
	if r.Value == nil {
		if o := g.named[key.Group]; o != nil {
			*o = Group{name: o.name, since: now, pending: map[string]time.Time{}, offsets: o.offsets, consumers: o.consumers}
			g.unless(o)
		}
		return nil
	}
	var v kmsg.GroupMetadataValue
	if err := v.ReadFrom(r.Value); err != nil {
		return fmt.Errorf("the value of a group: %w", err)
	}
	g.found(now, key.Group).restore(now, &v)
	return nil
}

// restore is a generation as it was written: its members have their whole sessions before them once Loaded is called.
func (o *Group) restore(now time.Time, v *kmsg.GroupMetadataValue) {
	o.protocolType, o.generation, o.members = v.ProtocolType, v.Generation, nil
	o.protocol, o.leader = text(v.Protocol), text(v.Leader)
	o.state, o.since = empty, now
	if v.Version >= 2 && v.CurrentStateTimestamp >= 0 {
		o.since = time.UnixMilli(v.CurrentStateTimestamp)
	}
	for _, m := range v.Members {
		one := &member{id: m.MemberID, instance: text(m.InstanceID), clientID: m.ClientID, host: m.ClientHost, session: millis(m.SessionTimeoutMillis),
			rebalance: millis(m.RebalanceTimeoutMillis), assignment: m.Assignment, synced: true,
			protocols: []message.GroupProtocol{{Name: o.protocol, Metadata: m.Subscription}}}
		if m.RebalanceTimeoutMillis < 0 {
			one.rebalance = one.session
		}
		o.members = append(o.members, one)
		o.state = stable
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func millis(n int32) time.Duration { return time.Duration(n) * time.Millisecond }

// Loaded says that the log was replayed: sessions begin, and what has happened meanwhile is looked after.
func (g *Groups) Loaded(now time.Time) Out {
	g.checked = now
	for _, o := range g.sorted() {
		for _, m := range o.members {
			g.refresh(now, o, m)
		}
		if o.consumers != nil {
			g.settle(now, o)
		}
	}
	return g.take(now)
}
