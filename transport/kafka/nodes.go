package kafka

import (
	"encoding/binary"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
)

// leaders gathers the brokers that an answer names as leaders, for the tagged field node_endpoints (KIP-951), so that
// a client whose metadata is old goes on without asking for new.
type leaders []message.NodeID

func (l *leaders) add(n message.NodeID) {
	if n != message.Nobody && !slices.Contains(*l, n) {
		*l = append(*l, n)
	}
}

// endpoints ends a response with tag 0 node_endpoints, or without tags if there are none.
func (w writer) endpoints(r *Request, l leaders) {
	at := len(w.Bytes)
	count := 0
	for _, n := range l {
		b := r.Image.Broker(n)
		if b == nil {
			continue
		}
		host, port, ok := r.Endpoint(b)
		if !ok {
			continue
		}
		count++
		w.int32(int32(n))
		w.text(host)
		w.int32(port)
		w.note(b.Rack)
		w.int8(0)
	}
	if count == 0 {
		w.int8(0)
		return
	}
	var head []byte
	list := binary.AppendUvarint(nil, uint64(count+1))
	head = append(head, 1, 0)
	head = binary.AppendUvarint(head, uint64(len(list)+len(w.Bytes)-at))
	w.Bytes = slices.Insert(w.Bytes, at, append(head, list...)...)
}
