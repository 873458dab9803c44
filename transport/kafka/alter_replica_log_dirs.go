package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// alterReplicaLogDirs moves replicas between data directories (KIP-113). There is one: moving to it is done already, and any
// other does not exist. Of a partition that is kept elsewhere Kafka notes the wish for the day that it comes here, and says that there
// is no replica; there is nothing to wish for here, so only that is said.
var alterReplicaLogDirs = api{key: 34, min: 1, max: 2, shape: "(s (s [4]))", start: decoded(onAlterReplicaLogDirs)}

// logDirNotFound is LOG_DIR_NOT_FOUND.
const logDirNotFound message.Code = 57

func onAlterReplicaLogDirs(c stage.Context, r *Request, q *kmsg.AlterReplicaLogDirsRequest) {
	resp := kmsg.NewPtrAlterReplicaLogDirsResponse()
	for _, d := range q.Dirs {
		for _, t := range d.Topics {
			out := kmsg.AlterReplicaLogDirsResponseTopic{Topic: t.Topic}
			for _, index := range t.Partitions {
				out.Partitions = append(out.Partitions, kmsg.AlterReplicaLogDirsResponseTopicPartition{Partition: index, ErrorCode: int16(moveWithin(r, d.Dir, t.Topic, index))})
			}
			resp.Topics = append(resp.Topics, out)
		}
	}
	r.Answer(c, resp)
}

// moveWithin is the fate of a replica that is to be in a directory of this node.
func moveWithin(r *Request, dir, topic string, index int32) message.Code {
	t := r.Image.Topic(topic)
	switch {
	case dir != dataDir(r):
		return logDirNotFound
	case t == nil || t.Partition(index) == nil:
		return message.UnknownTopicOrPartition
	case !t.Partition(index).IsReplica(r.Node()):
		return message.ReplicaNotAvailable
	}
	return message.OK
}
