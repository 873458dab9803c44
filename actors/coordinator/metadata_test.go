package coordinator

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// crier plays the broker: it publishes the images that it is sent.
type crier struct{}

func (crier) Receive(c stage.Context) {
	if img, ok := c.Message().(*image.Image); ok {
		c.Publish(img)
	}
}

var topicT = message.TopicID{7}

func (s *scene) publish(img *image.Image) {
	s.stage.Send(message.BrokerAt(1), img)
	s.time.RunFor(time.Millisecond)
}

// metadata has a topic "t" of so many partitions beside the coordinator's own, which has so many replicas.
func metadata(t *testing.T, index int64, partitions, replicas int) *image.Image {
	var nodes []message.NodeID
	for n := range replicas {
		nodes = append(nodes, message.NodeID(n+1))
	}
	records := []message.MetadataRecord{&message.TopicRecord{Name: message.GroupsTopic, ID: place.Topic}, &message.TopicRecord{Name: "t", ID: topicT}}
	for i := range place.Index + 1 {
		records = append(records, &message.PartitionRecord{Partition: message.PartitionID{Topic: place.Topic, Index: i}, Leader: 1, Replicas: nodes, ISR: nodes})
	}
	for i := range partitions {
		records = append(records, &message.PartitionRecord{Partition: message.PartitionID{Topic: topicT, Index: int32(i)}, Leader: 1, Replicas: nodes, ISR: nodes})
	}
	img, _, err := image.Empty().Apply(index, records...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func (s *scene) beat(epoch int32) *message.ConsumerBeat {
	s.t.Helper()
	m := &message.ConsumerHeartbeat{Group: "m", Member: "a", Epoch: epoch, Rebalance: -1}
	if epoch == message.EpochJoins {
		m.Rebalance, m.Topics, m.Owned = time.Minute, []string{"t"}, []message.PartitionID{}
	}
	a, ok := (*s.ask(m)).(*message.ConsumerBeat)
	if !ok {
		s.t.Fatalf("a heartbeat is not answered")
	}
	return a
}

// A topic that grows is assigned anew as soon as the metadata says so; its members hear of it by their next heartbeats.
func TestTopicsThatGrowAreAssigned(t *testing.T) {
	s := newScene(t)
	s.stage.Spawn(message.BrokerAt(1), func() stage.Actor { return crier{} })
	s.publish(metadata(t, 1, 2, 1))
	s.lead(1)
	if a := s.beat(0); len(a.Assignment) != 2 || a.Epoch != 1 || a.Interval != 5*time.Second {
		t.Fatalf("%+v", a)
	}
	s.publish(metadata(t, 2, 3, 1))
	s.stage.Send(message.CoordinatorAt(1, place), &message.TopicsChanged{Grown: []string{"t"}})
	s.time.RunFor(time.Second)
	if a := s.beat(1); len(a.Assignment) != 3 || a.Epoch != 2 {
		t.Errorf("%+v", a)
	}
	s.lead(2)
	s.epoch++
	s.publish(metadata(t, 3, 4, 1)) // while another led
	s.stage.Send(message.PartitionAt(1, place), &shown{})
	s.lead(1)
	if a := s.beat(2); len(a.Assignment) != 4 || a.Epoch != 3 {
		t.Errorf("after it has led again: %+v", a)
	}
}

// Who may be deposed answers nothing: elsewhere sessions end and offsets are committed. One copy alone cannot be led elsewhere.
func TestWhoMayBeDeposedIsSilent(t *testing.T) {
	s := newScene(t)
	s.stage.Spawn(message.BrokerAt(1), func() stage.Actor { return crier{} })
	s.publish(metadata(t, 1, 2, 3))
	s.lead(1)
	s.commit(5)
	stale := *metadata(t, 1, 2, 3)
	stale.Stale = true
	s.publish(&stale)
	if u, ok := s.committed().(*message.Uncoordinated); !ok || u.Code != message.NotCoordinator {
		t.Errorf("%+v", s.committed())
	}
	alone := *metadata(t, 1, 2, 1)
	alone.Stale = true
	s.publish(&alone)
	if got := s.committed(); got != int64(5) {
		t.Errorf("committed is %v", got)
	}
}

// Who has resigned may be deposed from then on, whether or not the metadata say so here; nor is anybody's time over here.
func TestWhoHasResignedIsSilent(t *testing.T) {
	s := newScene(t)
	s.lead(1)
	s.commit(5)
	joined := s.ask(&message.JoinGroup{Group: "m", ProtocolType: "consumer", Protocols: []message.GroupProtocol{{Name: "p"}}, Session: time.Second, Rebalance: time.Second})
	if a, ok := (*joined).(*message.GroupJoined); !ok || a.Code != message.OK {
		t.Fatalf("%+v", *joined)
	}
	s.resigned = true
	s.stage.Send(message.PartitionAt(1, place), &shown{})
	s.time.RunFor(time.Minute)
	if u, ok := s.committed().(*message.Uncoordinated); !ok || u.Code != message.NotCoordinator {
		t.Errorf("%+v", s.committed())
	}
	if len(s.sizes) != 1 {
		t.Errorf("it has written %v", s.sizes)
	}
	s.resigned = false
	s.stage.Send(message.PartitionAt(1, place), &shown{})
	s.time.RunFor(time.Millisecond)
	if got := s.committed(); got != int64(5) {
		t.Errorf("committed is %v", got)
	}
	s.epoch++ // the replica leads in a newer epoch, of which the coordinator has not heard
	s.stage.Send(message.PartitionAt(1, place), &shown{})
	s.time.RunFor(time.Millisecond)
	if u, ok := s.committed().(*message.Uncoordinated); !ok || u.Code != message.NotCoordinator {
		t.Errorf("%+v", s.committed())
	}
}

// confirmer plays the controller.
type confirmer struct{ *scene }

func (p confirmer) Receive(c stage.Context) {
	if _, asks := c.Message().(*message.Confirm); asks {
		p.confirms = append(p.confirms, c.Caller())
	}
}

// confirm has the controller answer what it was asked.
func (s *scene) confirm() (n int) {
	n = len(s.confirms)
	s.stage.Spawn(message.Address{Node: 1, Kind: message.KindOther, Partition: message.PartitionID{Index: int32(s.epoch)}}, func() stage.Actor {
		return stage.Receiver(func(c stage.Context) {
			for _, w := range s.confirms {
				c.Answer(w, &message.Confirmed{})
			}
			s.confirms = nil
		})
	})
	s.time.RunFor(50 * time.Millisecond)
	return n
}

// Nobody is told of offsets before it is certain that nobody else coordinated when he asked; one question serves all who wait for it. Who commits
// needs no proof.
func TestWhatIsReadIsProved(t *testing.T) {
	s := newScene(t)
	s.stage.Spawn(message.BrokerAt(1), func() stage.Actor { return crier{} })
	s.stage.Spawn(message.ControllerAt(1), func() stage.Actor { return confirmer{s} })
	s.publish(metadata(t, 1, 2, 3))
	s.epoch = 0
	s.stage.Send(message.PartitionAt(1, place), &shown{})
	s.lead(1)
	if a, ok := (*s.commit(5)).(*message.OffsetsCommitted); !ok || a.Code != message.OK || len(s.confirms) != 0 {
		t.Fatalf("%+v, and %d questions", a, len(s.confirms))
	}
	read := &message.FetchOffsets{Group: "g", All: true}
	first, second, third := s.ask(read), s.ask(read), s.ask(read)
	if *first != nil || *second != nil {
		t.Fatal("it answers before it knows")
	}
	if n := s.confirm(); n != 1 || *first == nil || *second != nil {
		t.Fatalf("%d questions, then %v, %v", n, *first, *second)
	}
	moved := *metadata(t, 2, 2, 3)
	_, p := moved.Partition(place)
	p.Leader, p.LeaderEpoch = 2, 1
	s.publish(&moved) // its replica has not heard
	s.epoch++
	if n := s.confirm(); n != 1 {
		t.Errorf("%d questions", n)
	}
	s.expectCode(second, message.NotCoordinator)
	s.expectCode(third, message.NotCoordinator)
}

// Where the controller is silent nobody is told anything, and asks again.
func TestWhatCannotBeProvedIsNotAnswered(t *testing.T) {
	s := newScene(t)
	s.stage.Spawn(message.BrokerAt(1), func() stage.Actor { return crier{} })
	s.stage.Spawn(message.ControllerAt(1), func() stage.Actor { return confirmer{s} })
	s.publish(metadata(t, 1, 2, 3))
	s.lead(1)
	read := s.ask(&message.FetchOffsets{Group: "g", All: true})
	s.time.RunFor(proofPatience)
	s.expectCode(read, message.NotCoordinator)
}
