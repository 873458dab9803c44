package kafka

import (
	"net"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// What the APIs of groups and transactions have in common: they find a coordinator on this node, ask it, and say what it means
// that it has not answered.

// Topics in which coordinators keep their state. Who leads a partition of one coordinates what belongs there.
const (
	groupTopic = message.GroupsTopic
	txnTopic   = message.TransactionsTopic
)

// textMax is how long an id may be: the answers of old versions have room for no more, and another client may ask for them.
const textMax = 1<<15 - 1

// coordinatorPatience is how long a coordinator may take that has nobody to wait for. A heartbeat may be held open meanwhile.
const coordinatorPatience = 20 * time.Second

// gatherPatience is how long members of a group may take to gather, whatever they say that they need: a consumer may ask for weeks.
const gatherPatience = time.Hour

// coordinatorIn finds the partition of an internal topic that belongs to a key, and who leads it.
func coordinatorIn(img *image.Image, topic, key string) (id message.PartitionID, leader message.NodeID, code message.Code) {
	t := img.Topic(topic)
	if t == nil || len(t.Partitions) == 0 {
		return id, message.Nobody, message.CoordinatorNotAvailable
	}
	index := message.CoordinatorIndex(key, len(t.Partitions))
	return t.At(index), t.Partitions[index].Leader, message.OK
}

// coordinator finds who coordinates a group, if it is here.
func (r *Request) coordinator(group string) (message.Address, message.Code) {
	if len(group) > textMax {
		return message.Address{}, message.InvalidGroupID
	}
	return r.coordinatorHere(groupTopic, group)
}

// coordinatorHere finds who coordinates what belongs to a key of an internal topic, if it is here.
func (r *Request) coordinatorHere(topic, key string) (message.Address, message.Code) {
	id, leader, code := coordinatorIn(r.Image, topic, key)
	switch {
	case code != message.OK:
		return message.Address{}, code
	case leader != r.Node() || leader == message.Nobody:
		return message.Address{}, message.NotCoordinator
	}
	return message.CoordinatorAt(r.Node(), id), message.OK
}

// namedCoordinator is a coordinator for an API to which a group without a name is none (S53).
func (r *Request) namedCoordinator(group string) (message.Address, message.Code) {
	if group == "" {
		return message.Address{}, message.InvalidGroupID
	}
	return r.coordinator(group)
}

// askCoordinator asks a coordinator that was found; then gets its answer, or the zero A and why there is none. late is what it
// means to the client that there is none in time.
func askCoordinator[A any](c stage.Context, r *Request, at message.Address, ask any, d time.Duration, late message.Code, then func(c stage.Context, answer *A, code message.Code)) {
	r.Ask(c, at, ask, d, func(c stage.Context, answer any) {
		if got, ok := answer.(*A); ok {
			then(c, got, message.OK)
			return
		}
		then(c, new(A), silence(answer, late))
	})
}

// askGroup is askCoordinator for the coordinator of a group that has to have a name.
func askGroup[A any](c stage.Context, r *Request, group string, ask any, d time.Duration, late message.Code, then func(c stage.Context, answer *A, code message.Code)) {
	at, code := r.namedCoordinator(group)
	if code != message.OK {
		then(c, new(A), code)
		return
	}
	askCoordinator(c, r, at, ask, d, late, then)
}

// silence says what it means that a coordinator has not answered what it was asked.
func silence(answer any, late message.Code) message.Code {
	switch m := answer.(type) {
	case *message.Uncoordinated:
		return m.Code
	case *stage.TimedOut:
		return late
	case *stage.Down:
		return message.NotCoordinator
	}
	return message.UnknownServerError
}

// share are groups of a request that one coordinator has.
type share struct {
	at     message.Address
	groups []string
	places []int // of the groups in the request
}

// shares splits groups by coordinators, in the order in which they are named. refuse is told why a group has none.
func (r *Request) shares(groups []string, refuse func(place int, code message.Code)) (all []*share) {
	found := map[message.Address]*share{}
	for i, group := range groups {
		at, code := r.namedCoordinator(group)
		if code != message.OK {
			refuse(i, code)
			continue
		}
		s := found[at]
		if s == nil {
			s = &share{at: at}
			found[at] = s
			all = append(all, s)
		}
		s.groups, s.places = append(s.groups, group), append(s.places, i)
	}
	return all
}

// split is a question about several groups, each of whose coordinators is asked about its share.
type split[A any] struct {
	groups   []string
	ask      func(groups []string) any
	patience time.Duration
	count    func(answer *A) int                // of how many groups an answer tells
	tell     func(place int, answer *A, i int)  // takes what an answer tells of its i-th group, which is at that place of the request
	refuse   func(place int, code message.Code) // takes why nothing is told of one
	done     func(c stage.Context)              // follows the last answer
}

func (q split[A]) begin(c stage.Context, r *Request) {
	g := gathering(q.done)
	for _, s := range r.shares(q.groups, q.refuse) {
		g.left++
		askCoordinator(c, r, s.at, q.ask(s.groups), q.patience, message.CoordinatorNotAvailable, func(c stage.Context, answer *A, code message.Code) {
			if code == message.OK && q.count(answer) != len(s.places) {
				code = message.UnknownServerError
			}
			for i, place := range s.places {
				if code == message.OK {
					q.tell(place, answer, i)
				} else {
					q.refuse(place, code)
				}
			}
			g.arrived(c)
		})
	}
	g.begin(c)
}

// clientHost is the client's address as Kafka shows it in groups.
func (r *Request) clientHost() string {
	remote := r.conn.wire.Remote()
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	return "/" + remote
}

// value is the text behind a pointer, empty for null.
func value(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
