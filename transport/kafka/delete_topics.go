package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// deleteTopics deletes by name, or from v6 on by name or id (S104).
var deleteTopics = api{key: 20, min: 1, max: 6, shape: "[s]@-5 (s 16)@6+ 4", start: decoded(onDeleteTopics)}

func onDeleteTopics(c stage.Context, r *Request, q *kmsg.DeleteTopicsRequest) {
	refs, twice := topicRefs(q)
	ask := &message.DeleteTopics{Topics: refs}
	askController(c, r, ask, patience(q.TimeoutMillis), func(c stage.Context, deleted *message.TopicsDeleted, p message.Problem) {
		resp := kmsg.NewPtrDeleteTopicsResponse()
		for i, ref := range refs {
			result := message.TopicDeleted{Problem: p, TopicRef: ref}
			if i < len(deleted.Results) {
				result = deleted.Results[i]
			}
			resp.Topics = append(resp.Topics, topicDeleted(r, result))
		}
		resp.Topics = append(resp.Topics, twice...)
		r.Answer(c, resp)
	})
}

// topicRefs are the topics that a request names; those that it names by name and id at once are refused here.
func topicRefs(q *kmsg.DeleteTopicsRequest) (refs []message.TopicRef, refused []kmsg.DeleteTopicsResponseTopic) {
	for _, name := range q.TopicNames {
		refs = append(refs, message.TopicRef{Name: name})
	}
	for _, t := range q.Topics {
		switch {
		case t.Topic != nil && t.TopicID != [16]byte{}:
			refused = append(refused, kmsg.DeleteTopicsResponseTopic{Topic: t.Topic, TopicID: t.TopicID, ErrorCode: int16(message.InvalidRequest),
				ErrorMessage: note("You may not specify both topic name and topic id.")})
		case t.Topic != nil:
			refs = append(refs, message.TopicRef{Name: *t.Topic})
		default:
			refs = append(refs, message.TopicRef{ID: t.TopicID})
		}
	}
	return refs, refused
}

func topicDeleted(r *Request, t message.TopicDeleted) kmsg.DeleteTopicsResponseTopic {
	if t.Code == message.TopicDeletionDisabled && r.Version < 3 {
		t.Code = message.InvalidRequest
	}
	return kmsg.DeleteTopicsResponseTopic{Topic: note(t.Name), TopicID: t.ID, ErrorCode: int16(t.Code), ErrorMessage: note(t.Message)}
}
