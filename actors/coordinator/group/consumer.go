package group

import (
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// consumers is what a group by KIP-848 has beside its offsets: its members, and who is to read what. The group's epoch rises when
// members or topics change, and a target assignment is made for it at once. Each member goes from what it has to its target in steps
// of its own: it gives up first what others are to have, and is given what others have given up.
//
//	          target is another                     it has given it up
//	stable ──────────────────────▶ revoking ────────────────────────────▶ stable, in the target's epoch
//	  │  ▲                                                                   ▲
//	  │  └────────────────────── the others have given it up ────────────────┤
//	  └────────────────────────▶ waiting ────────────────────────────────────┘
//	       others still have it
type consumers struct {
	epoch    int32
	hash     int64       // of the topics that it was for
	members  []*consumer // by id
	target   target
	owners   map[message.PartitionID]*consumer // who has a partition, or has not given it up yet
	patterns map[string]*pattern
}

// target is who is to have what, by members' ids.
type target struct {
	epoch    int32
	assignor string
	of       map[string]parts
	time     int64 // when it was made, in milliseconds
}

// consumer is one member of a group by KIP-848.
type consumer struct {
	id, instance, rack string
	clientID, host     string
	rebalance          time.Duration // how long it may take to give partitions up
	assignor           string
	names              []string // of topics, ascending
	pattern            string
	described          bool         // the log has said who it is, and not only what it has
	flinches           uint8        // how often its connection was lost while its heartbeat was held
	classic            *classicSide // nil: it speaks KIP-848

	epoch, previous int32
	state           progress
	assigned        parts
	revoking        parts                         // told to give up, and it has not
	since           map[message.PartitionID]int32 // the member's epoch in which it was given a partition

	deadline time.Time // of its session
	revokeBy time.Time // zero: there is nothing to give up
	armed    bool      // an alarm looks at both, at
	alarmAt  time.Time
}

// progress is how far a member has come to its target. The numbers are Kafka's, in the log.
type progress int8

const (
	settled  progress = iota // it has what it had to have in its epoch
	revoking                 // it has to give something up first
	waiting                  // others have not given up yet what it is to have
)

func newConsumers() *consumers {
	return &consumers{owners: map[message.PartitionID]*consumer{}, patterns: map[string]*pattern{}, target: target{of: map[string]parts{}}}
}

func (k *consumers) index(id string) (int, bool) {
	return slices.BinarySearchFunc(k.members, id, func(c *consumer, id string) int { return strings.Compare(c.id, id) })
}

func (k *consumers) member(id string) *consumer {
	if i, found := k.index(id); found {
		return k.members[i]
	}
	return nil
}

func (k *consumers) add(c *consumer) {
	i, _ := k.index(c.id)
	k.members = slices.Insert(k.members, i, c)
}

// static is the member of an instance; nil if there is none.
func (k *consumers) static(instance string) *consumer {
	for _, c := range k.members {
		if instance != "" && c.instance == instance {
			return c
		}
	}
	return nil
}

// stateName is the group's, on the wire (S68).
func (k *consumers) stateName() string {
	switch {
	case len(k.members) == 0:
		return "Empty"
	case k.epoch > k.target.epoch:
		return "Assigning"
	case slices.ContainsFunc(k.members, func(c *consumer) bool { return c.state != settled || c.epoch != k.target.epoch }):
		return "Reconciling"
	}
	return "Stable"
}

// topicsOf are the names that a member subscribes to, one way or the other, ascending.
func (k *consumers) topicsOf(c *consumer) []string {
	p := k.patterns[c.pattern]
	if c.pattern == "" || p == nil {
		return c.names
	}
	all := slices.Concat(c.names, p.topics)
	slices.Sort(all)
	return slices.Compact(all)
}

// subscribed are the names that somebody subscribes to, ascending.
func (k *consumers) subscribed() []string {
	seen := map[string]bool{}
	var all []string
	for _, c := range k.members {
		for _, name := range k.topicsOf(c) {
			if !seen[name] {
				seen[name] = true
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}

func (k *consumers) subscribes(topic string) bool {
	return slices.ContainsFunc(k.members, func(c *consumer) bool {
		_, found := slices.BinarySearch(k.topicsOf(c), topic)
		return found
	})
}

// hand gives a member what it has from now on; what it had before and has no more is free.
func (k *consumers) hand(c *consumer, epoch int32, assigned, revoking parts) {
	k.free(c)
	since := make(map[message.PartitionID]int32, len(assigned)+len(revoking))
	for _, list := range [...]parts{assigned, revoking} {
		for _, p := range list {
			if since[p] = epoch; c.has(p) {
				since[p] = c.since[p]
			}
			k.owners[p] = c
		}
	}
	c.assigned, c.revoking, c.since = assigned, revoking, since
}

func (c *consumer) has(p message.PartitionID) bool {
	_, has := c.since[p]
	return has
}

// free takes from the owners what a member has.
func (k *consumers) free(c *consumer) {
	for _, list := range [...]parts{c.assigned, c.revoking} {
		for _, p := range list {
			if k.owners[p] == c {
				delete(k.owners, p)
			}
		}
	}
}

// turn puts a member into an epoch.
func (c *consumer) turn(epoch int32, s progress) {
	c.previous, c.epoch, c.state = c.epoch, epoch, s
}
