package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// describeQuorum shows the metadata quorum (KIP-595); v1 knows times, v2 directories and nodes.
var describeQuorum = api{key: 55, min: 0, max: 2, shape: "(s (4))", start: decoded(onDescribeQuorum)}

// metadataTopic is the name by which clients ask for the metadata log.
const metadataTopic = "__cluster_metadata"

func onDescribeQuorum(c stage.Context, r *Request, q *kmsg.DescribeQuorumRequest) {
	askController(c, r, &message.DescribeQuorum{}, adminPatience, func(c stage.Context, d *message.QuorumDescribed, p message.Problem) {
		resp := kmsg.NewPtrDescribeQuorumResponse()
		resp.ErrorCode, resp.ErrorMessage = int16(p.Code), note(p.Message)
		for _, t := range q.Topics {
			out := kmsg.DescribeQuorumResponseTopic{Topic: t.Topic}
			for _, asked := range t.Partitions {
				out.Partitions = append(out.Partitions, quorumPartition(t.Topic, asked.Partition, d, p))
			}
			resp.Topics = append(resp.Topics, out)
		}
		resp.Nodes = quorumNodes(r, d)
		r.Answer(c, resp)
	})
}

func quorumPartition(topic string, index int32, d *message.QuorumDescribed, p message.Problem) kmsg.DescribeQuorumResponseTopicPartition {
	out := kmsg.DescribeQuorumResponseTopicPartition{Partition: index, LeaderID: int32(d.Leader), LeaderEpoch: int32(d.Term), HighWatermark: d.HighWatermark,
		ErrorCode: int16(p.Code), CurrentVoters: quorumMembers(d.Voters), Observers: quorumMembers(d.Observers)}
	if topic != metadataTopic || index != 0 {
		out = kmsg.DescribeQuorumResponseTopicPartition{Partition: index, ErrorCode: int16(message.UnknownTopicOrPartition),
			CurrentVoters: []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{}, Observers: []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{}}
	}
	return out
}

func quorumMembers(members []message.QuorumMember) []kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	out := []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{}
	for _, m := range members {
		out = append(out, kmsg.DescribeQuorumResponseTopicPartitionReplicaState{ReplicaID: int32(m.Node), ReplicaDirectoryID: m.DirectoryID,
			LogEndOffset: m.LogEnd, LastFetchTimestamp: m.LastFetch, LastCaughtUpTimestamp: m.LastCaughtUp})
	}
	return out
}

func quorumNodes(r *Request, d *message.QuorumDescribed) []kmsg.DescribeQuorumResponseNode {
	out := []kmsg.DescribeQuorumResponseNode{}
	for _, m := range d.Voters {
		n := kmsg.DescribeQuorumResponseNode{NodeID: int32(m.Node), Listeners: []kmsg.DescribeQuorumResponseNodeListener{}}
		if b := r.Image.Broker(m.Node); b != nil {
			for _, e := range b.Endpoints {
				n.Listeners = append(n.Listeners, kmsg.DescribeQuorumResponseNodeListener{Name: e.Listener, Host: e.Host, Port: uint16(e.Port)})
			}
		}
		out = append(out, n)
	}
	return out
}
