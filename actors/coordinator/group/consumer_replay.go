package group

import (
	"bytes"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/troupe-broker/troupe/actors/message"
)

// replayConsumer takes a record of a group by KIP-848. It is read to its end before it changes anything. Compaction may have left less
// than was written: members are made by whatever is found of them first.
func (g *Groups) replayConsumer(now time.Time, kind int16, r Record) error {
	key := kbin.Reader{Src: r.Key[2:]}
	name, second := key.String(), ""
	if kind != epochKey && kind != targetEpochKey && kind != topicsKey {
		second = key.String()
	}
	if err := whole(&key); err != nil {
		return fmt.Errorf("a key of kind %d: %w", kind, err)
	}
	if r.Value == nil {
		g.replayGone(now, kind, name, second)
		return nil
	}
	v := decoder{kbin.Reader{Src: r.Value}}
	if version := v.Int16(); version != 0 || !v.Ok() {
		return fmt.Errorf("a value of kind %d has version %d", kind, version)
	}
	change := decoders[kind](&v, second)
	if err := whole(&v.Reader); err != nil {
		return fmt.Errorf("a value of kind %d: %w", kind, err)
	}
	o := g.found(now, name)
	if o.consumers == nil {
		o.consumers = newConsumers()
	}
	change(o.consumers)
	return nil
}

// replayGone takes a tombstone.
func (g *Groups) replayGone(now time.Time, kind int16, name, second string) {
	o := g.named[name]
	if o == nil || o.consumers == nil {
		return
	}
	switch k := o.consumers; kind {
	case epochKey:
		o.consumers, o.since = nil, now
		g.unless(o)
	case describedKey:
		if c := k.member(second); c != nil {
			k.remove(c)
		}
	case targetKey:
		delete(k.target.of, second)
	case progressKey:
		if c := k.member(second); c != nil {
			k.hand(c, 0, nil, nil)
			c.epoch, c.previous, c.state = message.EpochLeaves, message.EpochLeaves, settled
		}
	case patternKey:
		delete(k.patterns, second)
	}
}

// decoders read a value's body and return what it changes.
var decoders = map[int16]func(v *decoder, second string) func(*consumers){
	epochKey: func(v *decoder, _ string) func(*consumers) {
		epoch, hash := v.Int32(), int64(0)
		v.tags(func(field *decoder) { hash = field.Int64() })
		return func(k *consumers) { k.epoch, k.hash = epoch, hash }
	},
	topicsKey: func(v *decoder, _ string) func(*consumers) {
		v.Src = nil // of before 4.1: the digest says the same
		return func(*consumers) {}
	},
	describedKey: func(v *decoder, id string) func(*consumers) {
		is := consumer{instance: v.nullable(), rack: v.nullable(), clientID: v.CompactString(), host: v.CompactString(), names: v.texts(), pattern: v.nullable()}
		is.rebalance = millis(v.Int32())
		is.assignor = v.nullable()
		v.tags(func(field *decoder) { is.classic = field.classic() })
		return func(k *consumers) { k.replayed(id).identify(&is) }
	},
	targetEpochKey: func(v *decoder, _ string) func(*consumers) {
		epoch, made := v.Int32(), int64(0)
		v.tags(func(field *decoder) { made = field.Int64() })
		return func(k *consumers) { k.target.epoch, k.target.time = epoch, made }
	},
	targetKey: func(v *decoder, id string) func(*consumers) {
		is, _ := v.parts()
		v.tags(nil)
		return func(k *consumers) { k.target.of[id] = is }
	},
	progressKey: func(v *decoder, id string) func(*consumers) {
		epoch, previous, state := v.Int32(), v.Int32(), progress(v.Int8())
		if state < settled || state > waiting {
			state = settled // a later version's: it is told its whole assignment when it is heard next
		}
		assigned, sinceAssigned := v.parts()
		toRevoke, sinceRevoking := v.parts()
		v.tags(nil)
		return func(k *consumers) {
			c := k.replayed(id)
			k.hand(c, epoch, assigned, toRevoke)
			c.epoch, c.previous, c.state = epoch, previous, state
			for _, since := range [...]map[message.PartitionID]int32{sinceAssigned, sinceRevoking} {
				for p, at := range since {
					c.since[p] = at
				}
			}
		}
	},
	patternKey: func(v *decoder, text string) func(*consumers) {
		p := &pattern{topics: v.texts(), version: v.Int64(), time: v.Int64()}
		v.tags(nil)
		return func(k *consumers) {
			p.match, _ = compile(text)
			k.patterns[text] = p
		}
	},
}

// replayed is a member of which the log has something.
func (k *consumers) replayed(id string) *consumer {
	c := k.member(id)
	if c == nil {
		c = &consumer{id: id, epoch: message.EpochLeaves, previous: message.EpochLeaves}
		k.add(c)
	}
	return c
}

func (c *consumer) identify(is *consumer) {
	c.instance, c.rack, c.clientID, c.host, c.names, c.pattern = is.instance, is.rack, is.clientID, is.host, is.names, is.pattern
	c.rebalance, c.assignor, c.classic, c.described = is.rebalance, is.assignor, is.classic, true
}

// decoder reads what may be anything: lengths are held against what is there.
type decoder struct{ kbin.Reader }

// whole says that everything was read that was there, and that all that was read was there.
func whole(r *kbin.Reader) error {
	if err := r.Complete(); err != nil {
		return err
	}
	if n := len(r.Src); n > 0 {
		return fmt.Errorf("%d bytes are left over", n)
	}
	return nil
}

// tags reads the tagged fields at the end of a struct; field 0 is given to zero, the others are left out.
func (d *decoder) tags(zero func(field *decoder)) {
	for n := d.Uvarint(); n > 0 && d.Ok(); n-- {
		number, size := d.Uvarint(), int(d.Uvarint())
		field := decoder{kbin.Reader{Src: d.Span(size)}}
		if number != 0 || zero == nil || !d.Ok() {
			continue
		}
		zero(&field)
		if whole(&field.Reader) != nil {
			d.Span(-1)
		}
	}
}

func (d *decoder) nullable() string { return text(d.CompactNullableString()) }

func (d *decoder) texts() (all []string) {
	for n := d.CompactArrayLen(); n > 0 && d.Ok(); n-- {
		all = append(all, d.CompactString())
	}
	return all
}

// classic reads what a member says as a classic one.
func (d *decoder) classic() *classicSide {
	if d.Uvarint() == 0 {
		return nil
	}
	is := &classicSide{session: millis(d.Int32())}
	for n := d.CompactArrayLen(); n > 0 && d.Ok(); n-- {
		is.protocols = append(is.protocols, message.GroupProtocol{Name: d.CompactString(), Metadata: bytes.Clone(d.CompactBytes())})
		d.tags(nil)
	}
	d.tags(nil)
	return is
}

// parts reads topics with their partitions, and the epochs since which they are held where those are told.
func (d *decoder) parts() (parts, map[message.PartitionID]int32) {
	var all []message.PartitionID
	since := map[message.PartitionID]int32{}
	for n := d.CompactArrayLen(); n > 0 && d.Ok(); n-- {
		topic, first := message.TopicID(d.Uuid()), len(all)
		for m := d.CompactArrayLen(); m > 0 && d.Ok(); m-- {
			all = append(all, message.PartitionID{Topic: topic, Index: d.Int32()})
		}
		d.tags(func(field *decoder) {
			for i, m := first, field.CompactArrayLen(); m > 0 && field.Ok(); i, m = i+1, m-1 {
				if at := field.Int32(); i < len(all) {
					since[all[i]] = at
				}
			}
		})
	}
	return partsOf(all), since
}
