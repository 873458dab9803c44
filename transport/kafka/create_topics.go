package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// createTopics makes topics (S100-S103): v4 knows defaults, v5 answers with the effective configuration, v7 with the id.
var createTopics = api{key: 19, min: 2, max: 7, shape: "(s 4 2 (4 [4]) (s s)) 4 1@1+", start: decoded(onCreateTopics)}

func onCreateTopics(c stage.Context, r *Request, q *kmsg.CreateTopicsRequest) {
	ask := &message.CreateTopics{ValidateOnly: q.ValidateOnly}
	for _, t := range q.Topics {
		ask.Topics = append(ask.Topics, newTopic(t))
	}
	askController(c, r, ask, patience(q.TimeoutMillis), func(c stage.Context, created *message.TopicsCreated, p message.Problem) {
		resp := kmsg.NewPtrCreateTopicsResponse()
		for i, t := range ask.Topics {
			result := message.TopicCreated{Problem: p, Name: t.Name}
			if i < len(created.Results) {
				result = created.Results[i]
			}
			resp.Topics = append(resp.Topics, topicCreated(r, result))
		}
		r.Answer(c, resp)
	})
}

func newTopic(t kmsg.CreateTopicsRequestTopic) message.NewTopic {
	n := message.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, Replication: t.ReplicationFactor}
	for _, a := range t.ReplicaAssignment {
		n.Assignment = append(n.Assignment, message.Assignment{Partition: a.Partition, Replicas: nodes(a.Replicas)})
	}
	for _, s := range t.Configs {
		n.Configs = append(n.Configs, message.Setting{Name: s.Name, Value: s.Value})
	}
	return n
}

// topicCreated lists every effective setting of a new topic (S102). The list is null only where the schema expects it to be
// without meaning: with an error.
func topicCreated(r *Request, t message.TopicCreated) kmsg.CreateTopicsResponseTopic {
	out := kmsg.NewCreateTopicsResponseTopic()
	out.Topic, out.TopicID, out.ErrorCode, out.ErrorMessage = t.Name, t.ID, int16(t.Code), note(t.Message)
	out.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	if t.Code != message.OK {
		return out
	}
	out.NumPartitions, out.ReplicationFactor = t.Partitions, t.Replication
	own := map[string]string{}
	for _, s := range t.Configs {
		if s.Value != nil {
			own[s.Name] = *s.Value
		}
	}
	layers := r.Layers()
	for _, s := range setting.All(setting.OfTopic) {
		e := layers.Resolve(s, own)
		out.Configs = append(out.Configs, kmsg.CreateTopicsResponseTopicConfig{Name: s.Name, Value: shown(e), ReadOnly: e.Fixed, Source: int8(e.Source), IsSensitive: s.Sensitive()})
	}
	return out
}

// shown is a value as clients may see it: secrets are null (S106).
func shown(e setting.Resolved) *string {
	if e.Sensitive() {
		return nil
	}
	return e.Value
}
