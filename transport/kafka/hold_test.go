package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// holding is a house whose coordinator holds every heartbeat.
func holding(t *testing.T) (*house, *kmsg.HeartbeatRequest) {
	h := coordinated(t, func(message.Address, any) any { return nil })
	h.introduce("apache-kafka-java")
	return h, &kmsg.HeartbeatRequest{Group: groupIn(here, 0), Generation: 3, MemberID: "m"}
}

// introduce says what software the client is.
func (h *house) introduce(software string) {
	said := kmsg.NewPtrApiVersionsRequest()
	said.ClientSoftwareName, said.ClientSoftwareVersion = software, "1.22"
	call(h, said, kmsg.NewPtrApiVersionsResponse(), 3)
}

// pressed are the words about held heartbeats that were sent.
func (h *house) pressed() (all []message.AnswerHeartbeat) {
	for _, s := range h.sent {
		if m, is := s.what.(*message.AnswerHeartbeat); is {
			all = append(all, *m)
		}
	}
	return all
}

// A request behind a heartbeat that is held has it answered, once, and is answered behind it.
func TestANextRequestHasAHeldHeartbeatAnswered(t *testing.T) {
	h, q := holding(t)
	frame := h.ask(q, 0, 1)
	if frame.Done != nil {
		t.Error("what waits keeps its frame")
	}
	h.ask(q, 0, 2)
	h.ask(q, 0, 3)
	if p := h.pressed(); len(p) != 1 || p[0] != (message.AnswerHeartbeat{Group: q.Group, Member: "m"}) {
		t.Fatalf("%+v", p)
	}
	h.silent()
	h.answer(h.asks[0], &message.GroupBeat{})
	read(h, kmsg.NewPtrHeartbeatResponse(), 0, 1)
	if ask := h.asks[0].what.(*message.GroupHeartbeat); ask.Holding != message.Unheld {
		t.Errorf("%+v, and another request waits behind it", ask)
	}
	h.answer(h.asks[0], &message.GroupBeat{})
	if ask := h.asks[0].what.(*message.GroupHeartbeat); ask.Holding != message.Held {
		t.Errorf("%+v", ask)
	}
}

func TestAnEndingConnectionForsakesItsHeartbeat(t *testing.T) {
	h, q := holding(t)
	h.ask(q, 0, 1)
	h.tell(&Closed{})
	if p := h.pressed(); len(p) != 1 || !p[0].Lost {
		t.Fatalf("%+v", p)
	}
	h, q = holding(t)
	h.ask(q, 0, 1)
	h.answer(h.asks[0], &message.GroupBeat{})
	h.tell(&Closed{})
	if p := h.pressed(); len(p) > 0 {
		t.Fatalf("%+v, and nothing was held", p)
	}
}

func TestACoordinatorThatGoesEndsAHold(t *testing.T) {
	h, q := holding(t)
	h.ask(q, 0, 1)
	h.answer(h.asks[0], &stage.Down{})
	if r := read(h, kmsg.NewPtrHeartbeatResponse(), 0, 1); r.ErrorCode != int16(message.NotCoordinator) {
		t.Errorf("%+v", r)
	}
}

// Whose heartbeats may be held is known by its name; who has none, or another one, is answered at once.
func TestOnlyWhoBearsItIsHeld(t *testing.T) {
	for software, want := range map[string]message.Holding{"kgo": message.HeldResting, "apache-kafka-java": message.Held, "librdkafka": message.Held,
		"confluent-kafka-python": message.Held, "node-rdkafka": message.Held, "kafka-python": message.Held, "kafkajs": message.Unheld, "": message.Unheld} {
		h := coordinated(t, func(message.Address, any) any { return nil })
		if software != "" {
			h.introduce(software)
		}
		h.ask(&kmsg.HeartbeatRequest{Group: groupIn(here, 0), MemberID: "m"}, 0, 1)
		if ask := h.asks[0].what.(*message.GroupHeartbeat); ask.Holding != want {
			t.Errorf("%q: %+v", software, ask)
		}
	}
}
