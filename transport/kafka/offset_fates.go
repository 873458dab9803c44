package kafka

import (
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// fates are where an answer wants the codes of partitions that a coordinator was asked about, in the order of the question.
type fates []*int16

// settle writes the coordinator's codes, or the one for all: that there is no answer, or what the answer says as a whole.
func (f fates) settle(codes []message.Code, absent, whole message.Code) {
	if absent == message.OK {
		absent = whole
	}
	if absent == message.OK && len(codes) != len(f) {
		absent = message.UnknownServerError
	}
	for i, to := range f {
		if *to = int16(absent); absent == message.OK {
			*to = int16(codes[i])
		}
	}
}

// committable finds a topic of which offsets are committed; one that cannot have the name that it is given is not there either.
func (r *Request) committable(name string, id message.TopicID, byID bool) (*image.Topic, message.Code) {
	t, code := findTopic(r.Image, name, id, byID)
	if code == message.InvalidTopicException {
		code = message.UnknownTopicOrPartition
	}
	return t, code
}

// commitPatience is how long a commit may take.
func commitPatience(r *Request) time.Duration {
	return r.Layers().Millis("offsets.commit.timeout.ms") + slack
}
