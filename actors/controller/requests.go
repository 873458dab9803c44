package controller

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"

	"github.com/troupe-broker/troupe/actors/controller/metadata"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
)

// request decides, passes on, or keeps until somebody leads.
func (k *Controller) request(c stage.Context, r request) {
	switch {
	case k.leading:
		k.decide(c, r)
	case k.follows(c):
		k.passed[c.Ask(message.ControllerAt(k.leader()), r.ask, passPatience)] = r
	case len(k.parked) < parkedMax:
		k.parked = append(k.parked, r)
	default:
		c.Log().Warn("too many requests wait for a leader of the metadata quorum, one is dropped", "request", fmt.Sprintf("%T", r.ask))
	}
}

// unpark tries again what had to wait.
func (k *Controller) unpark(c stage.Context) {
	parked := k.parked
	k.parked = nil
	for _, r := range parked {
		k.request(c, r)
	}
}

// passedBack hands the leader's answer on. Where there is no answer the asker's own patience ends its waiting; where
// there was nobody, the next leader is asked.
func (k *Controller) passedBack(c stage.Context, r request, answer any) {
	switch answer.(type) {
	case *stage.TimedOut:
	case *stage.Down:
		if len(k.parked) < parkedMax {
			k.parked = append(k.parked, r)
		}
	default:
		c.Answer(r.caller, answer)
	}
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
	if len(d.Records) > 0 {
		k.propose(c, d, r)
		return
	}
	if n := len(k.proposals); n > 0 {
		k.proposals[n-1].reads = append(k.proposals[n-1].reads, read{r, d.Reply})
		return
	}
	if _, registers := r.ask.(*message.RegisterBroker); registers && r.caller.Address == message.BrokerAt(c.Self().Node) {
		c.Answer(r.caller, d.Reply)
		k.tellBroker(c, nil) // it started again and has no image
		return
	}
	k.answerWhenSeen(c, r, d.Reply)
}

// answerWhenSeen answers what needs no record, but not before the broker has the image that the answer rests on: who is told
// that a topic exists already must find it (S138).
func (k *Controller) answerWhenSeen(c stage.Context, r request, reply any) {
	if n := len(k.waiting); n > 0 {
		k.waiting = append(k.waiting, waiter{index: k.waiting[n-1].index, caller: r.caller, reply: reply})
		return
	}
	c.Answer(r.caller, reply)
}

// propose hands a decision to raft, at the index that it was decided for.
func (k *Controller) propose(c stage.Context, d metadata.Decision, r request) {
	index := k.store.next()
	err := k.raft.Propose(message.EncodeMetadata(d.Records))
	if errors.Is(err, raft.ErrProposalDropped) {
		k.parked = append(k.parked, r)
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
	for len(k.waiting) > 0 && k.waiting[0].index <= m.Index {
		c.Answer(k.waiting[0].caller, k.waiting[0].reply)
		k.waiting = k.waiting[1:]
	}
	if len(k.waiting) == 0 {
		k.waiting = nil
	}
}
