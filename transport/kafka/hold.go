package kafka

import (
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// A coordinator may hold a heartbeat until there is news for its member. Answers are in order (S5), so it is answered at once when its
// client asks for something else on the same connection, and it is forgotten when the connection ends.

// hold is a heartbeat that may be held.
type hold struct {
	at      message.Address // of the coordinator; the zero one: there is no heartbeat
	group   string
	member  string
	pressed bool // it was told to answer
}

// bears is how the heartbeats of clients may be held of which it is known that nothing else of theirs waits for the answer, by the names
// that they give their software (KIP-511). Some others, like KafkaJS, do nothing until they have it: theirs are answered at once. franz-go
// counts the time to its next heartbeat from the answer to the last one, the others from when they have sent it.
var bears = map[string]message.Holding{"apache-kafka-java": message.Held, "kgo": message.HeldResting, "kafka-python": message.Held}

// bearing is bears for what a client is called; librdkafka has many names in other languages.
func bearing(software string) message.Holding {
	if strings.Contains(software, "rdkafka") || strings.HasPrefix(software, "confluent-kafka") {
		return message.Held
	}
	return bears[software]
}

// holding says how a heartbeat that is begun now may be held.
func (k *connection) holding() message.Holding {
	if k.begun < len(k.queue) { // something waits behind it
		return message.Unheld
	}
	return bearing(k.software)
}

// held notes that a heartbeat is with a coordinator that may hold it.
func (k *connection) held(at message.Address, group, member string) {
	k.hold = hold{at: at, group: group, member: member}
}

// let forgets a heartbeat that is answered.
func (k *connection) let() { k.hold = hold{} }

// press has a heartbeat answered that is held: something has come behind it.
func (k *connection) press(c stage.Context) {
	if h := &k.hold; !h.at.IsZero() && !h.pressed {
		h.pressed = true
		c.Send(h.at, &message.AnswerHeartbeat{Group: h.group, Member: h.member})
	}
}

// forsake tells that nobody waits for the answer any more.
func (k *connection) forsake(c stage.Context) {
	if h := k.hold; !h.at.IsZero() {
		c.Send(h.at, &message.AnswerHeartbeat{Group: h.group, Member: h.member, Lost: true})
	}
	k.let()
}

// askHolding asks the coordinator of a group what it may answer later.
func askHolding[A any](c stage.Context, r *Request, group, member string, ask any, how message.Holding, then func(c stage.Context, answer *A, code message.Code)) {
	if at, code := r.namedCoordinator(group); code == message.OK && how != message.Unheld {
		r.letGo()
		r.conn.held(at, group, member)
	}
	askGroup(c, r, group, ask, coordinatorPatience, message.CoordinatorNotAvailable, func(c stage.Context, answer *A, code message.Code) {
		r.conn.let()
		then(c, answer, code)
	})
}
