package workload

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// hostile sends what no client should: frames that are cut short, turned over, or garbage. It expects nothing; that the
// others notice nothing is their claim.
type hostile struct {
	link
	spec    Spec
	stopped bool
}

func newHostile(w World, s Spec) *hostile { return &hostile{link: newLink(w, nil, s.Name), spec: s} }

// Start is part of Client.
func (x *hostile) Start() { x.later(x.pace(x.spec.PaceMillis), x.tick) }

func (x *hostile) tick() {
	if x.stopped {
		return
	}
	if x.conn == nil || x.one(4) {
		x.hangUp(errLost)
		x.conn = x.world.Dial(x.name, x.target(), deaf{})
	}
	for range 1 + x.chance.IntN(3) {
		x.conn.Send(x.frame())
	}
	x.later(x.pace(x.spec.PaceMillis), x.tick)
}

// deaf hears nothing.
type deaf struct{}

func (deaf) Received([]byte) {}
func (deaf) Closed()         {}

func (x *hostile) frame() []byte {
	if x.one(4) {
		return x.noise(x.chance.IntN(100))
	}
	frame := formatter.AppendRequest(nil, x.request(), 1)[4:]
	switch x.chance.IntN(5) {
	case 0:
		return frame[:x.chance.IntN(len(frame))]
	case 1:
		return append(frame, x.noise(20)...)
	case 2: // a huge count
		if at := 10 + x.chance.IntN(len(frame)-10); at+4 <= len(frame) {
			binary.BigEndian.PutUint32(frame[at:], 0x7fffffff)
		}
	case 3: // a negative length
		if at := 10 + x.chance.IntN(len(frame)-10); at+4 <= len(frame) {
			binary.BigEndian.PutUint32(frame[at:], 0xfffffff0)
		}
	case 4:
		for range 3 {
			frame[x.chance.IntN(len(frame))] ^= 1 << x.chance.IntN(8)
		}
	}
	return frame
}

func (x *hostile) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(x.chance.Uint32())
	}
	return b
}

// request is one that can do no harm as long as it is sent whole.
func (x *hostile) request() kmsg.Request {
	switch x.chance.IntN(5) {
	case 0:
		req := kmsg.NewPtrProduceRequest()
		req.Version = 9
		req.Acks = 1
		topic := kmsg.NewProduceRequestTopic()
		topic.Topic = "hostile"
		part := kmsg.NewProduceRequestTopicPartition()
		part.Records = x.noise(80)
		topic.Partitions = append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
		return req
	case 1:
		req := kmsg.NewPtrFetchRequest()
		req.Version = 11
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic = "hostile"
		topic.Partitions = append(topic.Partitions, kmsg.NewFetchRequestTopicPartition())
		req.Topics = append(req.Topics, topic)
		return req
	case 2:
		req := kmsg.NewPtrListOffsetsRequest()
		req.Version = 5
		return req
	case 3:
		return metadataRequest()
	default:
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version = 3
		return req
	}
}

// Heal is part of Client.
func (x *hostile) Heal() { x.stopped = true }

// Waiting is part of Client: it has nothing to wait for.
func (x *hostile) Waiting() string { return "" }

// Stop is part of Client.
func (x *hostile) Stop() {
	x.stopped = true
	if x.conn != nil {
		x.conn.Close()
		x.conn = nil
	}
}
