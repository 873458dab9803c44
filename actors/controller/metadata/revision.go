package metadata

import (
	"slices"
	"strconv"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// revision is a partition on its way to its next record. A decision says what happened to it; settle works out what follows.
//
//	leave, doubt, lose, … ─▶ settle: moved? ─▶ who leads? ─▶ who is eligible? ─▶ which epochs rise?
type revision struct {
	*turn
	topic *image.Topic
	was   *image.Partition

	next    *message.PartitionRecord
	suspect message.NodeID // may have lost records that it had: it is not eligible before it is in sync again; or Nobody
	emptied message.NodeID // has lost all that it had; or Nobody
	unclean bool           // somebody may lead who lacks acknowledged records, whatever the topic says
	renewed bool           // what was said in the leader epoch that it was counts no more
}

func (t *turn) revision(topic *image.Topic, index int32) *revision {
	was := topic.Partition(index)
	return &revision{turn: t, topic: topic, was: was, next: was.Record(topic.At(index)), suspect: message.Nobody, emptied: message.Nobody}
}

// revise changes every partition that which picks, and decides what became different.
func (t *turn) revise(which func(*image.Partition) bool, change func(*revision)) {
	var records []message.MetadataRecord
	for topic := range t.image().Topics() {
		for i := range topic.Partitions {
			if !which(&topic.Partitions[i]) {
				continue
			}
			r := t.revision(topic, int32(i))
			change(r)
			if r.settle() {
				records = append(records, r.next)
			}
		}
	}
	t.decide(records...)
}

// leave takes a node out of the in-sync set. The last one stays: what was acknowledged is nowhere else for certain.
func (r *revision) leave(n message.NodeID) {
	if rest := except(r.next.ISR, n); len(rest) > 0 {
		r.next.ISR = rest
	}
}

// doubt is leave for a node whose process has died: what it had not synced is gone. With durability=fsync nothing of that
// was acknowledged, so that it stays as eligible as it was; with durability=replicated it may lack what was.
func (r *revision) doubt(n message.NodeID) {
	if r.setting("durability") == "fsync" {
		r.leave(n)
		return
	}
	r.suspect = n
	r.next.ELR = except(r.next.ELR, n)
	r.leave(n)
	r.succeed(n)
}

// lose is doubt for a node that has nothing any more. If nobody else is eligible, then nobody leads until somebody decides to go
// on without what is lost. A new leader epoch sees to it that no word of the lost disk, late as it may come, counts as the new one's.
func (r *revision) lose(n message.NodeID) {
	r.suspect, r.emptied, r.renewed = n, n, true
	r.next.ELR = except(r.next.ELR, n)
	r.leave(n)
	if r.succeed(n); slices.Contains(r.next.ISR, n) {
		r.next.ISR = nil
	}
}

// succeed puts an eligible replica in the place of the last one in sync, one that is active if there is any.
func (r *revision) succeed(n message.NodeID) {
	if len(r.next.ELR) == 0 || !slices.Contains(r.next.ISR, n) {
		return
	}
	at := max(0, slices.IndexFunc(r.next.ELR, r.image().Active))
	r.next.ISR = r.next.ELR[at : at+1 : at+1]
}

// settle completes the next record; false if it would say nothing new.
func (r *revision) settle() bool {
	r.finish()
	r.lead()
	r.fillELR()
	return r.number()
}

// finish ends a move of replicas when all that were added are in sync (KIP-455), unless that alone would leave fewer in sync
// than min.insync.replicas.
func (r *revision) finish() {
	p := r.next
	if len(p.Adding)+len(p.Removing) == 0 {
		return
	}
	stay, inSync := except(p.Replicas, p.Removing...), except(p.ISR, p.Removing...)
	enough := max(1, min(len(p.ISR), len(stay), r.minInSync()))
	if len(except(p.Adding, inSync...)) == 0 && len(inSync) >= enough {
		p.Replicas, p.ISR, p.Adding, p.Removing = stay, inSync, nil, nil
	}
}

// lead keeps the leader if it still may lead, or elects another. One who was not in sync begins alone.
func (r *revision) lead() {
	p := r.next
	if !r.may(p.Leader) || !slices.Contains(p.ISR, p.Leader) {
		p.Leader = r.candidate()
	}
	if p.Leader != message.Nobody && !slices.Contains(p.ISR, p.Leader) {
		p.ISR = []message.NodeID{p.Leader}
	}
}

// candidate is the first replica, in the order of the assignment, that may lead without loss: one in sync before one that is
// eligible (KIP-966). If loss is allowed, the last that were eligible come before the rest.
func (r *revision) candidate() message.NodeID {
	p := r.next
	if n := r.first(p.ISR, p.ELR); n != message.Nobody {
		return n
	}
	if r.unclean || planted.Is(planted.UncleanAlways) || r.setting("unclean.leader.election.enable") == "true" {
		return r.first(except(p.LastKnownELR, r.emptied), except(p.Replicas, r.emptied), p.Replicas)
	}
	return message.Nobody
}

func (r *revision) first(lists ...[]message.NodeID) message.NodeID {
	for _, list := range lists {
		for _, n := range r.next.Replicas {
			if slices.Contains(list, n) && r.may(n) {
				return n
			}
		}
	}
	return message.Nobody
}

// may says that a node can lead at all.
func (r *revision) may(n message.NodeID) bool {
	return r.image().Active(n) && slices.Contains(r.next.Replicas, n)
}

// fillELR keeps, while fewer than min.insync.replicas are in sync, those that were: since then nothing was committed that they
// lack (KIP-966). Those that may have lost something are kept apart.
func (r *revision) fillELR() {
	p := r.next
	eligible, known := slices.Concat(p.ELR, r.was.ISR), r.lastKnown()
	p.ELR, p.LastKnownELR = nil, nil
	if len(p.ISR) >= min(r.minInSync(), len(p.Replicas)) {
		return
	}
	for _, n := range p.Replicas {
		switch {
		case slices.Contains(p.ISR, n) || r.image().Broker(n) == nil:
		case slices.Contains(eligible, n) && n != r.suspect:
			p.ELR = append(p.ELR, n)
		case slices.Contains(known, n) && (n != r.suspect || r.trusted(n)):
			p.LastKnownELR = append(p.LastKnownELR, n)
		}
	}
}

// lastKnown are those that may know most if loss has to be allowed. Who is known to have nothing is none of them: if nobody else was
// left, they are all others that had everything once, however long ago, and only without any it is the node with the empty disk.
func (r *revision) lastKnown() []message.NodeID {
	p := r.next
	if r.emptied == message.Nobody {
		return slices.Concat(p.LastKnownELR, []message.NodeID{r.suspect})
	}
	known := except(p.LastKnownELR, r.emptied)
	if len(known) == 0 {
		known = except(except(p.Replicas, p.Adding...), r.emptied)
	}
	if len(known) == 0 {
		return []message.NodeID{r.emptied}
	}
	return known
}

// trusted says that a node was among those that could lead before it came under suspicion.
func (r *revision) trusted(n message.NodeID) bool {
	return r.was.InSync(n) || slices.Contains(r.was.ELR, n) || slices.Contains(r.was.LastKnownELR, n)
}

// number raises the epochs. A leader that loses a replica goes on in a new leader epoch too: followers that are no longer any
// must not be counted.
func (r *revision) number() bool {
	p, was := r.next, r.was
	gone := len(except(was.Replicas, p.Replicas...)) > 0
	same := p.Leader == was.Leader && slices.Equal(p.Replicas, was.Replicas) && slices.Equal(p.ISR, was.ISR) && slices.Equal(p.ELR, was.ELR) &&
		slices.Equal(p.LastKnownELR, was.LastKnownELR) && slices.Equal(p.Adding, was.Adding) && slices.Equal(p.Removing, was.Removing)
	if same && !r.renewed {
		return false
	}
	if (gone || r.renewed || p.Leader != was.Leader) && !planted.Is(planted.LeaderEpochKept) {
		p.LeaderEpoch++
	}
	p.PartitionEpoch++
	return true
}

// minInSync is the topic's min.insync.replicas, which may be more than it has replicas; 0 while the cluster does not
// keep eligible leader replicas.
func (r *revision) minInSync() int {
	if r.image().Feature(eligibleFeature) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(r.setting("min.insync.replicas"))
	return n
}

// setting is a topic's effective configuration value.
func (r *revision) setting(name string) string {
	s, ok := setting.Lookup(setting.OfTopic, name)
	if !ok {
		panic("metadata: there is no topic setting " + strconv.Quote(name))
	}
	of := message.Resource{Kind: message.ResourceTopic, Name: r.topic.Name}
	return r.inForce(s, of, r.image().Config(of.Kind, of.Name))
}

// only is a list with no other nodes than these.
func only(list, these []message.NodeID) []message.NodeID {
	return except(list, except(list, these...)...)
}

// except is a list without some nodes.
func except(list []message.NodeID, without ...message.NodeID) []message.NodeID {
	var rest []message.NodeID
	for _, n := range list {
		if !slices.Contains(without, n) {
			rest = append(rest, n)
		}
	}
	return rest
}
