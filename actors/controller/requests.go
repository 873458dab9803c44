package controller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"

	"github.com/troupe-broker/troupe/actors/controller/metadata"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
)

// request decides, passes on, or keeps until somebody leads. What would be stale by then is refused, and its asker comes
// again.
func (k *Controller) request(c stage.Context, r request) {
	k.heard(c)
	if k.leading {
		k.decide(c, r)
		return
	}
	to, refusal := k.guide(c, r), k.unled(r.ask)
	if _, registers := r.ask.(*message.RegisterBroker); registers && k.raft != nil && to == message.Nobody && k.stray(c, r) {
		refusal = &message.BrokerRegistered{Problem: message.Problem{Code: message.NotController}}
	}
	switch {
	case to != message.Nobody:
		k.passed[c.Ask(message.ControllerAt(to), r.ask, passPatience)] = r
	case refusal != nil:
		c.Answer(r.caller, refusal)
	case k.follows(c): // the asker's own node leads now
		c.Answer(r.caller, &message.NotLeading{})
	case len(k.parked) < parkedMax:
		k.parked = append(k.parked, r)
	default:
		c.Log().Warn("too many requests wait for a leader of the metadata quorum, one is dropped", "request", fmt.Sprintf("%T", r.ask))
	}
}

// guide is who is asked instead of this node: the leader, but not if the request comes from there; for a node that hears of no
// leader because it is no member, or may be none any more, others in turn.
func (k *Controller) guide(c stage.Context, r request) message.NodeID {
	switch leader := k.leader(); {
	case k.raft == nil || leader == c.Self().Node || leader == r.caller.Address.Node:
		return message.Nobody
	case leader != message.Nobody || k.stray(c, r) || k.isMember(k.id) && !(k.forsaken() && isOwnRegistration(c, r)):
		return leader
	}
	if to := k.nextContact(); to != c.Self().Node { // it may have been a founder with another directory
		return to
	}
	return message.Nobody
}

// nextContact is who may know of the quorum: contacts and those who were its members once, in turn.
func (k *Controller) nextContact() message.NodeID {
	all := slices.Clone(k.opts.Contacts)
	for _, id := range slices.Concat(k.conf.GetVoters(), k.conf.GetLearners()) {
		all = append(all, nodeID(id))
	}
	if len(all) == 0 {
		return message.Nobody
	}
	k.turn++
	return all[k.turn%len(all)]
}

func isOwnRegistration(c stage.Context, r request) bool {
	_, registers := r.ask.(*message.RegisterBroker)
	return registers && r.caller.Address == message.BrokerAt(c.Self().Node)
}

// forsaken says that no leader was heard of for so long that there may be one to whom this node is no member any more: its directory
// was out of use for a while, and another was registered. Who registers it anew makes it a member again.
func (k *Controller) forsaken() bool { return k.sessions.clock-k.led >= 2*electionTicks }

// stray says that a request comes from a node that took this one for a member, and is no member either: who knows no leader must not
// send it round in circles.
func (k *Controller) stray(c stage.Context, r request) bool {
	from := r.caller.Address
	return from.Kind == message.KindController && from.Node != c.Self().Node && !k.isMember(k.id)
}

// unled is the answer to a request that must not wait for a leader; nil if it may.
func (k *Controller) unled(ask any) any {
	switch m := ask.(type) {
	case *message.BrokerHeartbeat:
		return &message.BrokerAlive{Code: message.NotController}
	case *message.RegisterBroker:
		if refusal := k.bereft(m); refusal != nil {
			return refusal
		}
	case *message.AlterPartition:
		return &message.PartitionsAltered{Codes: slices.Repeat([]message.Code{message.NotController}, len(m.Partitions))}
	}
	return nil
}

// unpark tries again what had to wait.
func (k *Controller) unpark(c stage.Context) {
	parked := k.parked
	k.parked = nil
	for _, r := range parked {
		k.request(c, r)
	}
}

// forget lets go of what another node's controller has asked: it was told that there will be no answer, and has asked somebody else
// meanwhile. Begun anew here, behind a cut, a change could come behind a later one that was acknowledged.
func (k *Controller) forget(asker message.Address) {
	if planted.Is(planted.AskerRemembered) {
		return
	}
	asked := func(r request) bool { return r.caller.Address == asker }
	read := func(r read) bool { return asked(r.request) }
	k.parked = slices.DeleteFunc(k.parked, asked)
	k.unproved = slices.DeleteFunc(k.unproved, func(u unproved) bool { return read(u.read) })
	for i := range k.proposals {
		p := &k.proposals[i]
		if p.reads = slices.DeleteFunc(p.reads, read); asked(p.request) {
			p.request.caller = stage.Caller{}
		}
	}
}

// passedBack hands the leader's answer on. Where there is no answer the asker's own patience ends its waiting; where
// there was nobody, the next leader is asked.
func (k *Controller) passedBack(c stage.Context, r request, answer any) {
	switch m := answer.(type) {
	case *stage.TimedOut:
	case *stage.Down, *message.NotLeading:
		if refusal := k.unled(r.ask); refusal != nil {
			c.Answer(r.caller, refusal)
		} else if len(k.parked) < parkedMax {
			k.parked = append(k.parked, r)
		}
	case *message.BrokerAlive, *message.PartitionsAltered, *message.QuorumDescribed:
		c.Answer(r.caller, answer)
	case *message.BrokerRegistered:
		k.registered(c, r, m)
	default:
		k.bring(c, r, answer)
	}
}

// registered hands a registration's answer on. Who was asked and is no member is passed over.
func (k *Controller) registered(c stage.Context, r request, m *message.BrokerRegistered) {
	switch {
	case m.Code == message.NotController && len(k.parked) < parkedMax:
		k.parked = append(k.parked, r)
	case m.Code == message.OK:
		k.bring(c, r, m)
	default:
		c.Answer(r.caller, m)
	}
}

// brought is the leader's answer to a request that was passed on. It is handed on when this node's broker has every image
// that the leader had then: who is told that a topic was made must find it here (S138).
type brought struct {
	number uint64
	caller stage.Caller
	reply  any
}

func (k *Controller) bring(c stage.Context, r request, answer any) {
	if isOwnRegistration(c, r) {
		c.Answer(r.caller, answer)
		k.tellBroker(c, nil) // it started again and has no image
		return
	}
	k.hold(c, r.caller, answer)
}

// hold owes an answer until this node's broker has everything that is decided by now.
func (k *Controller) hold(c stage.Context, caller stage.Caller, answer any) {
	k.asked++
	k.brought = append(k.brought, brought{k.asked, caller, answer})
	k.readAgain()
	k.advance(c)
}

// confirm answers who has to know that its metadata is not old. Who asks comes again where the log is not even read.
func (k *Controller) confirm(c stage.Context) {
	if k.raft != nil {
		k.hold(c, c.Caller(), &message.Confirmed{})
	}
}

// readAgain asks the leader up to where entries are committed. The question or its answer may be lost: until there is one,
// it is asked with every tick.
func (k *Controller) readAgain() {
	if len(k.brought) > 0 || len(k.unproved) > 0 {
		k.raft.ReadIndex(binary.BigEndian.AppendUint64(nil, k.asked))
	}
}

// confirmed: everything that the leader knew when it answered is at or below an index, and if that is this node, it led.
func (k *Controller) confirmed(c stage.Context, s raft.ReadState) {
	number := binary.BigEndian.Uint64(s.RequestCtx)
	for len(k.unproved) > 0 && k.unproved[0].number <= number {
		u := k.unproved[0]
		k.unproved = k.unproved[1:]
		k.answerWhenSeen(c, u.request, u.reply)
	}
	for len(k.brought) > 0 && k.brought[0].number <= number {
		b := k.brought[0]
		k.brought = k.brought[1:]
		k.await(waiter{index: int64(s.Index), caller: b.caller, reply: b.reply})
	}
	k.answerShown(c)
}

func (k *Controller) decide(c stage.Context, r request) {
	if _, describes := r.ask.(*message.DescribeQuorum); describes {
		c.Answer(r.caller, k.describe(c))
		return
	}
	d, ok := k.brain.Decide(k.tip, k.store.next(), r.ask)
	if !ok {
		panic(fmt.Sprintf("controller: the brain does not know %T", r.ask))
	}
	m, beats := r.ask.(*message.BrokerHeartbeat)
	if beats {
		k.sessions.beat(m, d.Reply)
	}
	if m, leaves := r.ask.(*message.UnregisterBroker); leaves && len(d.Records) > 0 && len(k.membersOf(m.Node)) > 0 {
		k.leavers = append(k.leavers, r)
		return
	}
	if len(d.Records) > 0 {
		k.propose(c, d, r)
		return
	}
	if beats { // it rests on nothing that is only proposed
		if a, ok := d.Reply.(*message.BrokerAlive); ok {
			a.Index = k.image.Index
		}
		c.Answer(r.caller, d.Reply)
		return
	}
	if n := len(k.proposals); n > 0 {
		k.proposals[n-1].reads = append(k.proposals[n-1].reads, read{r, d.Reply})
		return
	}
	if isOwnRegistration(c, r) {
		c.Answer(r.caller, d.Reply)
		k.tellBroker(c, nil) // it started again and has no image
		return
	}
	k.prove(c, read{r, d.Reply})
}

// unproved is an answer that needs no record. It leaves when the quorum has confirmed that this node led still when it decided: one
// that was paused, and does not know yet that another leads, would say of what has been made since that it is not there.
type unproved struct {
	number uint64
	read
}

func (k *Controller) prove(c stage.Context, r read) {
	k.proveReads([]read{r})
	k.advance(c)
}

// proveReads proves also what rested on a proposal that is committed: by a successor, perhaps, who has decided more.
func (k *Controller) proveReads(reads []read) {
	for _, r := range reads {
		if !k.leading {
			k.parked = append(k.parked, r.request)
			continue
		}
		k.asked++
		k.unproved = append(k.unproved, unproved{k.asked, r})
	}
	if len(reads) > 0 && k.leading {
		k.readAgain()
	}
}

// answerWhenSeen answers what needs no record, but not before the broker has the image that the answer rests on: who is told
// that a topic exists already must find it (S138).
func (k *Controller) answerWhenSeen(c stage.Context, r request, reply any) {
	if n := len(k.waiting); n > 0 {
		k.await(waiter{index: k.waiting[n-1].index, caller: r.caller, reply: reply})
		return
	}
	c.Answer(r.caller, reply)
}

// await owes an answer.
func (k *Controller) await(w waiter) {
	at := len(k.waiting)
	for at > 0 && k.waiting[at-1].index > w.index {
		at--
	}
	k.waiting = slices.Insert(k.waiting, at, w)
}

// propose hands a decision to raft, at the index that it was decided for.
func (k *Controller) propose(c stage.Context, d metadata.Decision, r request) {
	index := k.store.next()
	err := k.raft.Propose(message.EncodeMetadata(d.Records))
	if errors.Is(err, raft.ErrProposalDropped) {
		if !r.caller.IsZero() {
			k.parked = append(k.parked, r)
		}
		return
	}
	if err != nil {
		c.Fail(fmt.Errorf("controller: propose: %w", err))
	}
	k.proposals = append(k.proposals, proposal{index: uint64(index), term: k.raft.BasicStatus().GetTerm(), decision: d, request: r})
	k.tip = d.Image
	if planted.Is(planted.ImageEarly) {
		c.Send(message.BrokerAt(c.Self().Node), &message.ImageChanged{Index: d.Image.Index, Image: d.Image})
	}
	k.advance(c)
}

// imageApplied answers everybody whose change is in effect.
func (k *Controller) imageApplied(c stage.Context, m *message.ImageApplied) {
	k.shown = m.Index
	k.answerShown(c)
}

func (k *Controller) answerShown(c stage.Context) {
	for len(k.waiting) > 0 && k.waiting[0].index <= k.shown {
		c.Answer(k.waiting[0].caller, k.waiting[0].reply)
		k.waiting = k.waiting[1:]
	}
	if len(k.waiting) == 0 {
		k.waiting = nil
	}
}
