package kafka

import (
	"github.com/troupe-broker/troupe/actors/message"
)

// followerReads is the version of Fetch from which on a consumer may read from a follower (KIP-392).
const followerReads = 11

// closer is an in-sync replica in the client's rack, Nobody if the leader, which is here, is in it too or none is (S40). Of
// several the client's partitions are spread over all. Being in sync, it has everything up to the high watermark.
func (f *fetch) closer(id message.PartitionID) message.NodeID {
	if me := f.image.Broker(f.r.Node()); me == nil || me.Rack == f.rack {
		return message.Nobody
	}
	_, at := f.image.Partition(id)
	if at == nil {
		return message.Nobody
	}
	var near []message.NodeID
	for _, n := range at.ISR {
		b := f.image.Broker(n)
		if b == nil || b.Fenced || b.Rack != f.rack {
			continue
		}
		if _, _, ok := f.r.Endpoint(b); ok {
			near = append(near, n)
		}
	}
	if len(near) == 0 {
		return message.Nobody
	}
	return near[int(id.Index)%len(near)]
}
