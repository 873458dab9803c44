// Package group decides for the groups of one coordinator: who is a member, who assigns in which generation, and which offsets are
// committed. A question and the time go in; records to write and answers to give come out.
//
//	      JoinGroup            all have joined, or time is up          SyncGroup of the leader
//	Empty ─────────▶ Preparing ─────────────────────────────▶ Completing ────────────────────▶ Stable
//	  ▲               │    ▲                                      │ a member comes, changes or goes │
//	  └─ nobody left ─┘    └──────────────────────────────────────┴─────────────────────────────────┘
//
// State changes at once and answers leave when the records are committed; who could not write them throws the brain away and
// replays the log. What is not in the log, sessions and a rebalance under way, is as after a restart: members come again.
// Groups by KIP-848 have members of their own kind (consumer.go, reconcile.go), which the coordinator assigns to (assign.go); a group is one
// or the other, and may change (convert.go, upgrade.go). Offsets may be committed as a part of a transaction (txn.go).
//
// Sentences are Kafka's (S53-S84 and S96 of its protocols, GroupMetadataManager and OffsetMetadataManager).
//
// It refuses to know clients, disks and clocks.
package group

import (
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
)

// What a brain and its actor have to do with each other.
type (
	Caller = brain.Caller
	Record = brain.Record
	Reply  = brain.Reply
	Out    = brain.Out
)

// Settings bound groups.
type Settings struct {
	InitialDelay           time.Duration // a new group's first rebalance waits so long for more members
	SessionMin, SessionMax time.Duration
	SizeMax                int // members of a group
	MetadataMax            int // bytes with a committed offset
	RecordMax              int // bytes of what one question has written: a batch that the internal topic takes
	Retention              time.Duration
	RetentionCheck         time.Duration // how often it is looked for offsets that nobody needs any more
	Consumer               ConsumerSettings
}

// Groups are the groups of one coordinator.
type Groups struct {
	settings  Settings
	place     brain.Place
	catalogue Catalogue
	named     map[string]*Group
	timers    timers
	txns      txns
	order     int64     // of commits
	checked   time.Time // when retention was looked at
	stirred   []*Group  // in which there may be news
	waiting   int       // heartbeats that are held
	out       Out
}

// New makes a coordinator's brain that knows no group, and decides on a catalogue.
func New(s Settings, c Catalogue, at brain.Place) *Groups {
	return &Groups{settings: s, catalogue: c, place: at, named: map[string]*Group{}, txns: newTxns()}
}

var _ brain.Brain = (*Groups)(nil)

// Count is how many groups there are.
func (g *Groups) Count() int { return len(g.named) }

// Decide answers a question, now or later. ok is false where it is none for groups.
func (g *Groups) Decide(now time.Time, from Caller, ask any) (out Out, ok bool) {
	switch m := ask.(type) {
	case *message.JoinGroup:
		g.join(now, from, m)
	case *message.SyncGroup:
		g.sync(now, from, m)
	case *message.GroupHeartbeat:
		g.beat(now, from, m)
	case *message.LeaveGroup:
		g.reply(from, g.leave(now, m))
	case *message.ConsumerHeartbeat:
		g.consumerBeat(now, from, m)
	case *message.AnswerHeartbeat:
		g.answerHeld(now, m)
	case *message.DescribeConsumers:
		g.reply(from, g.describeConsumers(m))
	case *message.CommitOffsets:
		g.reply(from, g.commit(now, m))
	case *message.CommitTxnOffsets:
		if answer := g.commitTxn(now, from, m, false); answer != nil {
			g.reply(from, answer)
		}
	case *message.Mark:
		g.mark(from, m)
	case *message.FetchOffsets:
		g.reply(from, g.fetch(m))
	case *message.DeleteOffsets:
		g.reply(from, g.deleteOffsets(m))
	case *message.DeleteGroups:
		g.reply(from, g.deleteGroups(m))
	case *message.ListGroups:
		g.reply(from, g.list(m))
	case *message.DescribeGroups:
		g.reply(from, g.describe(m))
	default:
		return Out{}, false
	}
	return g.take(now), true
}

// take is what has been decided, and what follows for those who are held.
func (g *Groups) take(now time.Time) Out {
	g.rouse(now)
	out := g.out
	g.out = Out{}
	return out
}

func (g *Groups) reply(to Caller, answer any) {
	if to != 0 {
		g.out.Replies = append(g.out.Replies, Reply{To: to, Answer: answer})
	}
}

func (g *Groups) record(r Record) { g.out.Records = append(g.out.Records, r) }

// found is the group of a name, a new one if there is none.
func (g *Groups) found(now time.Time, name string) *Group {
	o := g.named[name]
	if o == nil {
		o = &Group{name: name, since: now, pending: map[string]time.Time{}}
		g.named[name] = o
	}
	return o
}

// sorted are all groups by name.
func (g *Groups) sorted() []*Group {
	all := make([]*Group, 0, len(g.named))
	for _, one := range g.named {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *Group) int { return strings.Compare(a.name, b.name) })
	return all
}
