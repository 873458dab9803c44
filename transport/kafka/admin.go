package kafka

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// What the admin APIs have in common: they ask the controller or gather answers of several partitions, and they must
// say null or empty exactly where the schema does (L1).

// slack is added to a client's timeout when another actor is asked, so that a late refusal is told rather than guessed.
const slack = time.Second

// adminPatience is how long an API waits that has no timeout of its own.
const adminPatience = 30 * time.Second

func patience(timeoutMillis int32) time.Duration {
	return max(time.Duration(timeoutMillis)*time.Millisecond, 0) + slack
}

// note is a text for people, null if there is nothing to say.
func note(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// absent says what it means that no answer came.
func absent(answer any) message.Problem {
	switch answer.(type) {
	case *stage.TimedOut:
		return message.Problem{Code: message.RequestTimedOut, Message: "The request timed out; it may still be carried out."}
	case *stage.Down:
		return message.Problem{Code: message.BrokerNotAvailable, Message: "The broker is starting or stopping; try again."}
	}
	return message.Problem{Code: message.UnknownServerError, Message: "Nobody understood the request."}
}

// askController asks the metadata quorum; then gets the answer, or the zero R and a problem.
func askController[R any](c stage.Context, r *Request, ask any, d time.Duration, then func(c stage.Context, answer *R, p message.Problem)) {
	r.Ask(c, message.ControllerAt(r.Node()), ask, d, func(c stage.Context, answer any) {
		if got, ok := answer.(*R); ok {
			then(c, got, message.Problem{})
			return
		}
		then(c, new(R), absent(answer))
	})
}

// problems are a Results' problems for n items: those of the answer, or the one problem for all.
func problems(results *message.Results, p message.Problem, n int) []message.Problem {
	if p.Code == message.OK && len(results.Problems) == n {
		return results.Problems
	}
	if p.Code == message.OK {
		p = message.Problem{Code: message.UnknownServerError, Message: "The controller answered something else."}
	}
	all := make([]message.Problem, n)
	for i := range all {
		all[i] = p
	}
	return all
}

// gather counts answers that are still to come and goes on behind the last.
type gather struct {
	left int
	done func(c stage.Context)
}

// arrived takes one answer.
func (g *gather) arrived(c stage.Context) {
	if g.left--; g.left == 0 {
		g.done(c)
	}
}

// begin says that everything has been asked for: with nothing to wait for it goes on at once. A gather starts with one
// answer that this call stands for.
func (g *gather) begin(c stage.Context) { g.arrived(c) }

func gathering(done func(c stage.Context)) *gather { return &gather{left: 1, done: done} }

// askLeader asks a partition's leader if it is here; then gets the answer, or nil and why there is none.
func (g *gather) askLeader(c stage.Context, r *Request, topic string, index int32, ask any, d time.Duration, then func(c stage.Context, answer any, code message.Code)) {
	g.askLeaderAt(c, r, message.PartitionAt, topic, index, ask, d, then)
}

// askLeaderAt is askLeader for the replica or for who is beside it.
func (g *gather) askLeaderAt(c stage.Context, r *Request, at func(message.NodeID, message.PartitionID) message.Address, topic string, index int32, ask any, d time.Duration,
	then func(c stage.Context, answer any, code message.Code)) {
	t := r.Image.Topic(topic)
	switch {
	case t == nil || index < 0 || int(index) >= len(t.Partitions):
		then(c, nil, message.UnknownTopicOrPartition)
		return
	case t.Partitions[index].Leader == message.Nobody:
		then(c, nil, message.LeaderNotAvailable)
		return
	case t.Partitions[index].Leader != r.Node():
		then(c, nil, message.NotLeaderOrFollower)
		return
	}
	g.left++
	r.Ask(c, at(r.Node(), message.PartitionID{Topic: t.ID, Index: index}), ask, d, func(c stage.Context, answer any) {
		switch answer.(type) {
		case *stage.TimedOut:
			then(c, nil, message.RequestTimedOut)
		case *stage.Down:
			then(c, nil, message.KafkaStorageError)
		default:
			then(c, answer, message.OK)
		}
		g.arrived(c)
	})
}

func nodes(ids []int32) []message.NodeID {
	out := make([]message.NodeID, len(ids))
	for i, id := range ids {
		out[i] = message.NodeID(id)
	}
	return out
}

// numbers is never nil: an empty list is not null (L1).
func numbers(ids []message.NodeID) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}

// sorted are distinct partition numbers, ascending.
func sorted(indexes []int32) []int32 {
	out := slices.Clone(indexes)
	slices.Sort(out)
	return slices.Compact(out)
}

// notAsked stands where operations could be listed and were not asked for (S45).
const notAsked = -1 << 31

// everything is the bit field of all operations that a resource knows: without an authorizer everybody may do all.
// Bits are Kafka's operation numbers: read 3, write 4, create 5, delete 6, alter 7, describe 8, cluster action 9, describe
// configs 10, alter configs 11, idempotent write 12.
const (
	everythingOnTopic   = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	everythingOnGroup   = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11
	everythingOnCluster = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
)
