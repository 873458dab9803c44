// Package broker is a node's place in the cluster: it registers with the controller and tells it that it lives, publishes the
// metadata image that doors and partitions read, starts, tells and stops this node's partitions as the image says, and hands
// out producer ids. Where there is no other node it is silent.
//
// It decides nothing about the cluster and touches no log. Where an image changes little it does little: what changed comes
// with it.
package broker

import (
	"time"

	"github.com/troupe-broker/troupe/actors/broker/budget"
	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Options are what a broker has to be told.
type Options struct {
	// Incarnation is a new UUID every time the process starts. The zero one is drawn when the actor starts.
	Incarnation message.TopicID
	// Directory is the data directory's id; a new disk has another. Zero: it is older than these.
	Directory message.TopicID
	Rack      string
	Endpoints []message.Endpoint
	// Static is what the node was started with.
	Static setting.Values
	// NewPartition says how the stage makes one of this node's replicas.
	NewPartition func(id message.PartitionID, l *message.Leadership) func() stage.Actor
	// NewCoordinator says how the stage makes who keeps state in a partition of an internal topic, beside its replica; nil for a topic
	// that is nobody's. A nil function: there are no coordinators.
	NewCoordinator func(topic string, id message.PartitionID) func() stage.Actor
}

const (
	registerPatience = 10 * time.Second
	registerAgain    = 100 * time.Millisecond
	allocatePatience = 10 * time.Second
	tidyCost         = time.Millisecond
)

// Broker is a node's broker actor.
//
//	RegisterBroker ─▶ controller ─▶ ImageChanged ─▶ publish ─▶ Spawn, Leadership, Deleted ─▶ ImageApplied
type Broker struct {
	opts Options

	image        *image.Image // nil until the first one came
	epoch        int64        // of the registration; 0 until it is committed
	topics       map[message.TopicID]local
	leaving      map[message.TopicID][]int32 // replicas that were told to go and are not gone yet
	layers       setting.Layers
	plain        setting.Topic // the config of topics without overrides
	ids          block
	registering  stage.RequestID
	settled      bool           // every partition of this node is started
	waiting      []stage.Caller // for that
	pulse        pulse
	refused      string // why the controller did not register this node, when it was asked last
	fenced       bool   // what this node has is served nowhere
	turned       bool   // that has changed, and its partitions are not told yet
	wishes       map[stage.RequestID]stage.Caller
	fallen       map[message.PartitionID]bool // replicas that have failed for good
	coordinators []message.PartitionID        // that live here, in the order of their start
	ways         map[message.NodeID]*reach    // to the other nodes
	budgets      [message.Sides]budget.Budget // of throttled replication
}

// local is a topic of which this node has replicas, as they were told.
type local struct {
	topic  *image.Topic
	config setting.Topic
}

// Messages to self.
type register struct{} // try again

// New makes a broker that is not registered yet.
func New(o Options) *Broker {
	return &Broker{opts: o, layers: setting.Layers{Static: o.Static}, topics: map[message.TopicID]local{}, leaving: map[message.TopicID][]int32{},
		wishes: map[stage.RequestID]stage.Caller{}, ways: map[message.NodeID]*reach{}, fallen: map[message.PartitionID]bool{}}
}

// Receive is the table of contents.
func (b *Broker) Receive(c stage.Context) {
	switch m := c.Message().(type) {
	case *stage.Started:
		b.start(c)
	case *register:
		b.register(c)
	case *message.BrokerRegistered:
		b.registered(c, m)
	case *message.ImageChanged:
		b.imageChanged(c, m)
	case *message.NewProducerID:
		b.newProducerID(c)
	case *message.ProducerIDs:
		b.allocated(c, m)
	case *message.AwaitServing:
		b.awaitServing(c)
	case *beat:
		b.beatDue(c)
	case *message.BrokerAlive:
		b.alive(c, m)
	case *message.Withdraw:
		b.withdraw(c)
	case *message.AlterPartition:
		b.wish(c, m)
	case *message.Draw:
		b.draw(c, m)
	case *message.Spent:
		b.budgets[m.Side].Spent(m.Bytes)
	case *message.PartitionsAltered:
		b.wished(c, m)
	case *stage.Gone:
		b.gone(c, m)
	case *relinquish:
		b.relinquish(c, m.at)
	case *relook:
		b.relook(c, m.node)
	case *sweep:
		b.sweep(c, m)
	case *tidied:
		b.tidied(c, m)
	case *stage.TimedOut, *stage.Down:
		b.unanswered(c)
	case *stage.Stopping:
	default:
		c.Unhandled()
	}
}

func (b *Broker) start(c stage.Context) {
	if b.opts.Incarnation.IsZero() {
		for i := range b.opts.Incarnation {
			b.opts.Incarnation[i] = byte(c.Rand().Uint32())
		}
	}
	b.register(c)
}

func (b *Broker) register(c stage.Context) {
	b.registering = c.Ask(message.ControllerAt(c.Self().Node), &message.RegisterBroker{
		Node: c.Self().Node, Incarnation: b.opts.Incarnation, Directory: b.opts.Directory, Rack: b.opts.Rack, Endpoints: b.opts.Endpoints,
	}, registerPatience)
}

func (b *Broker) registered(c stage.Context, m *message.BrokerRegistered) {
	b.registering = 0
	if m.Code != message.OK {
		b.refuse(c, m)
		return
	}
	b.epoch, b.refused = m.Epoch, ""
	b.allocate(c)
	b.beat(c)
}

// refuse says why this node cannot serve, once, to the log and to who waits for it. It tries again: somebody may mend that.
func (b *Broker) refuse(c stage.Context, m *message.BrokerRegistered) {
	if b.refused != m.Message {
		b.refused = m.Message
		c.Log().Error("the controller refuses to register this node", "code", m.Code, "why", m.Message)
	}
	for _, w := range b.waiting {
		c.Answer(w, &message.Serving{Problem: m.Problem})
	}
	b.waiting = nil
	c.After(registerAgain, &register{})
}

// unanswered: the controller was silent or away.
func (b *Broker) unanswered(c stage.Context) {
	switch c.Answers() {
	case b.registering:
		b.registering = 0
		c.After(registerAgain, &register{})
	case b.ids.asked:
		b.allocated(c, &message.ProducerIDs{Code: message.CoordinatorNotAvailable})
	case b.pulse.asked:
		b.alive(c, &message.BrokerAlive{Code: message.NotController})
	default:
		b.wished(c, &message.PartitionsAltered{Codes: []message.Code{message.NotController}})
	}
}

// awaitServing answers as soon as this node's partitions are started.
func (b *Broker) awaitServing(c stage.Context) {
	if b.settled {
		c.Answer(c.Caller(), &message.Serving{})
		return
	}
	b.waiting = append(b.waiting, c.Caller())
}

// Parked is how many wait here: for this node's partitions to be started, for the controller's word on in-sync sets, or to stop. It is
// for those who look on.
func (b *Broker) Parked() int { return len(b.waiting) + len(b.wishes) + len(b.pulse.leaving) }
