package check

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// Group is what its members know of a consumer group, all together.
type Group struct {
	Name       string
	history    *History
	generation int32 // the largest in which somebody was told its assignment
	owners     map[owned]string
	floors     map[*Partition]int64          // the largest offset whose commit was acknowledged
	doubts     map[*Partition]map[int64]bool // offsets whose commits nobody has answered
	claims     map[*Partition]claim
	epochs     map[string]int32 // of members by KIP-848, by their ids
}

// claim is what a member by KIP-848 has, and until when nobody may take it away from it unless it is told.
type claim struct {
	member string
	until  time.Duration
}

// owned is a partition in one generation.
type owned struct {
	generation int32
	partition  *Partition
}

// Group is the group of that name, a new one if nobody has spoken of it.
func (h *History) Group(name string) *Group {
	for _, g := range h.groups {
		if g.Name == name {
			return g
		}
	}
	g := &Group{Name: name, history: h, owners: map[owned]string{}, floors: map[*Partition]int64{}, doubts: map[*Partition]map[int64]bool{}, claims: map[*Partition]claim{}, epochs: map[string]int32{}}
	h.groups = append(h.groups, g)
	return g
}

// Generation is the floor of what a member may be told that begins to join now.
func (g *Group) Generation() int32 { return g.generation }

// Joined checks what a member is told that began to join when the floor was that.
func (g *Group) Joined(member string, floor, generation int32) {
	if generation < floor {
		g.history.Fail(GenerationsRise, "Group %s: %s is told of generation %d, and others had an assignment in %d when it asked.", g.Name, member, generation, floor)
	}
}

// Assigned checks what a member is told to read in a generation.
func (g *Group) Assigned(member string, generation int32, partitions []*Partition) {
	g.generation = max(g.generation, generation)
	for _, p := range partitions {
		at := owned{generation, p}
		if other, has := g.owners[at]; has && other != member {
			g.history.Fail(OneOwner, "Group %s: in generation %d both %s and %s read %s.", g.Name, generation, other, member, p)
		}
		g.owners[at] = member
	}
}

// Keeps checks that a member which was told at a time that it has partitions, and has them until another at least, is the only one. A clock
// that jumps ahead ends sessions by so much earlier in a made-up world; on a real machine they are counted by the monotonic clock.
func (g *Group) Keeps(member string, partitions []*Partition, now, until time.Duration) {
	for _, p := range partitions {
		if c, has := g.claims[p]; has && c.member != member && c.until-g.history.Ahead > now && until > now {
			g.history.Fail(OneHolder, "Group %s: %s is told that it has %s, and %s has it until %v at least.", g.Name, member, p, c.member, c.until)
		}
		if until > now {
			g.claims[p] = claim{member, until}
		}
	}
}

// GivesUp notes that a member has told that it has partitions no more.
func (g *Group) GivesUp(member string, partitions []*Partition) {
	for _, p := range partitions {
		if g.claims[p].member == member {
			delete(g.claims, p)
		}
	}
}

// Taken says that somebody has each of the partitions. Of classic members nobody can tell when they have them no more: where there are some
// it is believed.
func (g *Group) Taken(partitions []*Partition, now time.Duration) bool {
	if len(g.owners) > 0 {
		return true
	}
	for _, p := range partitions {
		if c, has := g.claims[p]; !has || c.until <= now {
			return false
		}
	}
	return true
}

// InEpoch checks the epoch that a member by KIP-848 is told, which asked when the floor was that; it joins, or was in one before.
func (g *Group) InEpoch(id string, floor, epoch int32, joins bool) {
	was := g.epochs[id]
	if joins {
		was = floor
	}
	if epoch < was {
		g.history.Fail(GenerationsRise, "Group %s: member %s is told of epoch %d after %d.", g.Name, id, epoch, was)
	}
	g.epochs[id] = epoch
	g.generation = max(g.generation, epoch)
}

// Floor is what a fetch of the group's offset, which begins now, must not fall below; -1 if nothing was committed.
func (g *Group) Floor(p *Partition) int64 {
	if at, ok := g.floors[p]; ok {
		return at
	}
	return -1
}

// Committed notes an offset whose commit was acknowledged.
func (g *Group) Committed(p *Partition, offset int64) {
	g.floors[p] = max(g.Floor(p), offset)
}

// Doubted notes an offset whose commit nobody has answered: it may be waiting on a connection that was given up, and be taken late, behind
// greater ones of the same member in the same epoch.
func (g *Group) Doubted(p *Partition, offset int64) {
	if g.doubts[p] == nil {
		g.doubts[p] = map[int64]bool{}
	}
	g.doubts[p][offset] = true
}

// Fetched checks a group's offset against the floor of when it was asked for.
func (g *Group) Fetched(member string, p *Partition, floor, offset int64) {
	if offset < floor && !g.doubts[p][offset] {
		g.history.Fail(OffsetsStay, "Group %s: %s is told that %s was read up to %d, and %d was committed before.", g.Name, member, p, offset, floor)
	}
}

// Refused checks why a member is refused that has done nothing wrong.
func (g *Group) Refused(member, what string, code message.Code) {
	g.history.Fail(MembersGoOn, "Group %s: %s is refused %s with code %d.", g.Name, member, what, code)
}
