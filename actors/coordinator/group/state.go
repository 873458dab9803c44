package group

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// Group is one group and its offsets: a classic one, or one by KIP-848. Without members and offsets it is nothing.
type Group struct {
	name         string
	state        state
	since        time.Time // of the state
	generation   int32
	protocolType string // empty: nobody has ever joined
	protocol     string // that all members speak, chosen with the generation
	leader       string
	members      []*member            // in the order in which they came
	pending      map[string]time.Time // ids that were given to who has not come again yet, and until when (KIP-394)
	rebalance    rebalance
	offsets      map[string]map[int32]offset
	consumers    *consumers // nil: it is a classic group; else it has no classic members
	holds        holds
}

// anew is a group that goes on under its name, with its offsets and who waits for news, as one of another kind.
func (o *Group) anew(now time.Time) Group {
	return Group{name: o.name, since: now, pending: map[string]time.Time{}, offsets: o.offsets, holds: o.holds}
}

type state uint8

const (
	empty state = iota
	preparing
	completing
	stable
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}

// String is the name on the wire (S68).
func (s state) String() string { return stateNames[s] }

// rebalance is what is known of the one that is under way.
type rebalance struct {
	due     time.Time     // until then members may join (preparing) or ask for their assignment (completing); zero: none
	initial bool          // of a group that had nobody: it waits for more members
	left    time.Duration // for how long it may be prolonged then
	grown   bool          // somebody has joined since it was
}

// member is one member of a group.
type member struct {
	id, instance       string
	clientID, host     string
	session, rebalance time.Duration
	protocols          []message.GroupProtocol
	assignment         []byte
	joining, syncing   Caller // who waits for the answer; 0: nobody
	skips              bool   // it can be told not to assign anew
	fresh              bool   // it has never been part of a generation
	synced             bool   // it has asked for its assignment in this one
	flinches           uint8  // how often its connection was lost while its heartbeat was held
	deadline           time.Time
	armed              bool // an alarm looks at the deadline, at
	alarmAt            time.Time
}

// newcomerPatience bounds how long somebody new may wait for its first generation, whatever its session is (KAFKA-7641).
const newcomerPatience = 5 * time.Minute

func (o *Group) turn(s state, now time.Time) {
	if o.state != s {
		o.state, o.since = s, now
	}
}

func (o *Group) member(id string) *member {
	if i := o.index(id); i >= 0 {
		return o.members[i]
	}
	return nil
}

func (o *Group) index(id string) int {
	return slices.IndexFunc(o.members, func(m *member) bool { return m.id == id })
}

// static is the member of an instance; nil if there is none.
func (o *Group) static(instance string) *member {
	for _, m := range o.members {
		if instance != "" && m.instance == instance {
			return m
		}
	}
	return nil
}

// known finds a member as a request names it, or says why it is not one (KIP-345).
func (o *Group) known(id, instance string) (*member, message.Code) {
	if instance != "" {
		m := o.static(instance)
		switch {
		case m == nil:
			return nil, message.UnknownMemberID
		case m.id != id:
			return nil, message.FencedInstanceID
		}
		return m, message.OK
	}
	if m := o.member(id); m != nil {
		return m, message.OK
	}
	return nil, message.UnknownMemberID
}

// longest is the most patient member's rebalance timeout.
func (o *Group) longest() (d time.Duration) {
	for _, m := range o.members {
		d = max(d, m.rebalance)
	}
	return d
}

// joined says that everybody who is known has come.
func (o *Group) joined() bool {
	return len(o.pending) == 0 && !slices.ContainsFunc(o.members, func(m *member) bool { return m.joining == 0 })
}

// speaks says that somebody with these protocols can be a member beside the others.
func (o *Group) speaks(protocolType string, protocols []message.GroupProtocol) bool {
	if len(o.members) == 0 {
		return protocolType != "" && len(protocols) > 0
	}
	return o.protocolType == protocolType && slices.ContainsFunc(protocols, func(p message.GroupProtocol) bool { return o.common(p.Name, nil) })
}

// common says that all members but one know a protocol.
func (o *Group) common(name string, but *member) bool {
	return !slices.ContainsFunc(o.members, func(m *member) bool { return m != but && !m.knows(name) })
}

func (m *member) knows(name string) bool {
	return slices.ContainsFunc(m.protocols, func(p message.GroupProtocol) bool { return p.Name == name })
}

// metadata is what a member has said with a protocol.
func (m *member) metadata(name string) []byte { return metadataOf(m.protocols, name) }

func metadataOf(protocols []message.GroupProtocol, name string) []byte {
	for _, p := range protocols {
		if p.Name == name {
			return p.Metadata
		}
	}
	return nil
}

// same says that a member says again what it has said.
func (m *member) same(protocols []message.GroupProtocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b message.GroupProtocol) bool {
		return a.Name == b.Name && string(a.Metadata) == string(b.Metadata)
	})
}

// choose is the protocol that most members like best of those that all know (S58). Of several the leader's first is taken.
func (o *Group) choose() string {
	votes := map[string]int{}
	for _, m := range o.members {
		for _, p := range m.protocols {
			if o.common(p.Name, m) {
				votes[p.Name]++
				break
			}
		}
	}
	best := ""
	first := o.members[0]
	if l := o.member(o.leader); l != nil {
		first = l
	}
	for _, p := range first.protocols {
		if votes[p.Name] > votes[best] {
			best = p.Name
		}
	}
	return best
}

// vain says that nothing is worth keeping of the group.
func (o *Group) vain() bool { return !o.populated() && len(o.offsets) == 0 }

// populated says that it has members, or expects some.
func (o *Group) populated() bool {
	return len(o.members)+len(o.pending) > 0 || o.consumers != nil && len(o.consumers.members) > 0
}

// written says that the log knows more of the group than offsets.
func (o *Group) written() bool { return o.generation > 0 || o.consumers != nil }
