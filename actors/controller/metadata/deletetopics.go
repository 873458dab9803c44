package metadata

import (
	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// deleteTopics ends topics, each on its own (S104).
func (t *turn) deleteTopics(m *message.DeleteTopics) *message.TopicsDeleted {
	answer := &message.TopicsDeleted{Results: make([]message.TopicDeleted, len(m.Topics))}
	names, ids := map[string]int{}, map[message.TopicID]int{}
	for _, ref := range m.Topics {
		names[ref.Name]++
		ids[ref.ID]++
	}
	allowed := t.layers().Bool("delete.topic.enable")
	for i, ref := range m.Topics {
		r := &answer.Results[i]
		r.TopicRef = ref
		switch {
		case ref.Name != "" && names[ref.Name] > 1:
			r.Problem = refuse(message.InvalidRequest, "Duplicate topic name.")
		case !ref.ID.IsZero() && ids[ref.ID] > 1:
			r.Problem = refuse(message.InvalidRequest, "Duplicate topic id.")
		case !allowed:
			r.Problem = refuse(message.TopicDeletionDisabled, "Topic deletion is disabled.")
		default:
			r.TopicRef, r.Problem = t.deleteTopic(ref)
		}
	}
	return answer
}

func (t *turn) deleteTopic(ref message.TopicRef) (message.TopicRef, message.Problem) {
	topic, p := t.find(ref)
	if topic == nil {
		return ref, p
	}
	t.decide(&message.TopicRemoved{ID: topic.ID})
	return message.TopicRef{Name: topic.Name, ID: topic.ID}, message.Problem{}
}

// find looks a topic up by the one of name and id that is given.
func (t *turn) find(ref message.TopicRef) (*image.Topic, message.Problem) {
	switch {
	case ref.Name != "" && !ref.ID.IsZero():
		return nil, refuse(message.InvalidRequest, "You may not specify both topic name and topic id.")
	case ref.Name == "" && ref.ID.IsZero():
		return nil, refuse(message.InvalidRequest, "Neither topic name nor id were specified.")
	case ref.Name != "":
		return t.image().Topic(ref.Name), refuse(message.UnknownTopicOrPartition, "This server does not host this topic-partition.")
	}
	return t.image().TopicByID(ref.ID), refuse(message.UnknownTopicID, "This server does not host this topic ID.")
}
