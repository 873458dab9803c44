package group

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/troupe-broker/troupe/actors/message"
)

// Groups by KIP-848 are kept in Kafka's records too. A key is a number and strings as of old; a value is its version, 0, and a body of
// the flexible kind with tagged fields:
//
//	3  group            epoch; tag 0: digest of the topics
//	5  group, member    who it is: instance, rack, client, host, topics, pattern, rebalance timeout, assignor; tag 0: what it says as a
//	                    classic member, or a zero
//	6  group            epoch of the target; tag 0: when it was made
//	7  group, member    target: topic ids with partitions
//	8  group, member    epoch, the one before, state, assigned, to be given up; tag 0 of each topic: since which epochs
//	16 group, pattern   topics, version of the metadata, time
//
// 4 (partition metadata) is of before 4.1, and is replaced by the digest.
const (
	epochKey       = 3
	topicsKey      = 4
	describedKey   = 5
	targetEpochKey = 6
	targetKey      = 7
	progressKey    = 8
	patternKey     = 16
)

func groupOnlyKey(kind int16, group string) []byte {
	return kbin.AppendString(kbin.AppendInt16(nil, kind), group)
}

// memberKey is the key of something that is kept for a member, or a pattern, of a group.
func memberKey(kind int16, group, member string) []byte {
	return kbin.AppendString(groupOnlyKey(kind, group), member)
}

// tagged appends the only tagged field of a struct, number 0.
func tagged(to []byte, field []byte) []byte {
	if field == nil {
		return kbin.AppendUvarint(to, 0)
	}
	to = kbin.AppendUvarint(to, 1)
	to = kbin.AppendUvarint(to, 0)
	return append(kbin.AppendUvarint(to, uint32(len(field))), field...)
}

func long(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

var version0 = []byte{0, 0}

func epochRecord(group string, k *consumers) Record {
	v := kbin.AppendInt32(append([]byte(nil), version0...), k.epoch)
	return Record{Key: groupOnlyKey(epochKey, group), Value: tagged(v, long(k.hash))}
}

func targetEpochRecord(group string, k *consumers) Record {
	v := kbin.AppendInt32(append([]byte(nil), version0...), k.target.epoch)
	return Record{Key: groupOnlyKey(targetEpochKey, group), Value: tagged(v, long(k.target.time))}
}

func (c *consumer) record(group string) Record {
	v := append([]byte(nil), version0...)
	v = kbin.AppendCompactNullableString(v, textOrNull(c.instance))
	v = kbin.AppendCompactNullableString(v, textOrNull(c.rack))
	v = kbin.AppendCompactString(v, c.clientID)
	v = kbin.AppendCompactString(v, c.host)
	v = appendTexts(v, c.names)
	v = kbin.AppendCompactNullableString(v, textOrNull(c.pattern))
	v = kbin.AppendInt32(v, int32(c.rebalance.Milliseconds()))
	v = kbin.AppendCompactNullableString(v, textOrNull(c.assignor))
	return Record{Key: memberKey(describedKey, group, c.id), Value: tagged(v, c.classic.bytes())}
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func appendTexts(to []byte, texts []string) []byte {
	to = kbin.AppendCompactArrayLen(to, len(texts))
	for _, s := range texts {
		to = kbin.AppendCompactString(to, s)
	}
	return to
}

func targetRecord(group, member string, is parts) Record {
	v := appendParts(append([]byte(nil), version0...), is, nil)
	return Record{Key: memberKey(targetKey, group, member), Value: tagged(v, nil)}
}

func (c *consumer) progressRecord(group string) Record {
	v := kbin.AppendInt32(append([]byte(nil), version0...), c.epoch)
	v = kbin.AppendInt32(v, c.previous)
	v = kbin.AppendInt8(v, int8(c.state))
	v = appendParts(v, c.assigned, c.since)
	v = appendParts(v, c.revoking, c.since)
	return Record{Key: memberKey(progressKey, group, c.id), Value: tagged(v, nil)}
}

// appendParts appends topics with their partitions, and since which epochs a member has had them unless since is nil.
func appendParts(to []byte, p parts, since map[message.PartitionID]int32) []byte {
	topics := 0
	for range p.byTopic {
		topics++
	}
	to = kbin.AppendCompactArrayLen(to, topics)
	for topic, partitions := range p.byTopic {
		to = kbin.AppendUuid(to, topic)
		to = kbin.AppendCompactArrayLen(to, len(partitions))
		for _, one := range partitions {
			to = kbin.AppendInt32(to, one.Index)
		}
		to = tagged(to, epochsOf(partitions, since))
	}
	return to
}

func epochsOf(p parts, since map[message.PartitionID]int32) []byte {
	if since == nil {
		return nil
	}
	field := kbin.AppendCompactArrayLen(nil, len(p))
	for _, one := range p {
		field = kbin.AppendInt32(field, since[one])
	}
	return field
}

func patternRecord(group, text string, p *pattern) Record {
	r := Record{Key: memberKey(patternKey, group, text)}
	if p != nil {
		v := appendTexts(append([]byte(nil), version0...), p.topics)
		v = kbin.AppendInt64(v, p.version)
		v = kbin.AppendInt64(v, p.time)
		r.Value = tagged(v, nil)
	}
	return r
}
