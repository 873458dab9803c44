package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// alterReplicaLogDirs moves replicas between data directories (KIP-113). There is one: moving to it is done already, and any
// other does not exist.
var alterReplicaLogDirs = api{key: 34, min: 1, max: 2, shape: "(s (s [4]))", start: decoded(onAlterReplicaLogDirs)}

// logDirNotFound is LOG_DIR_NOT_FOUND.
const logDirNotFound message.Code = 57

func onAlterReplicaLogDirs(c stage.Context, r *Request, q *kmsg.AlterReplicaLogDirsRequest) {
	resp := kmsg.NewPtrAlterReplicaLogDirsResponse()
	for _, d := range q.Dirs {
		for _, t := range d.Topics {
			out := kmsg.AlterReplicaLogDirsResponseTopic{Topic: t.Topic}
			for _, index := range t.Partitions {
				code := message.OK
				if found := r.Image.Topic(t.Topic); found == nil || index < 0 || int(index) >= len(found.Partitions) {
					code = message.UnknownTopicOrPartition
				} else if d.Dir != dataDir(r) {
					code = logDirNotFound
				}
				out.Partitions = append(out.Partitions, kmsg.AlterReplicaLogDirsResponseTopicPartition{Partition: index, ErrorCode: int16(code)})
			}
			resp.Topics = append(resp.Topics, out)
		}
	}
	r.Answer(c, resp)
}
