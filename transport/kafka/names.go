package kafka

import (
	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// findTopic finds a topic as a request names it.
func findTopic(img *image.Image, name string, id message.TopicID, byID bool) (*image.Topic, message.Code) {
	if byID {
		if t := img.TopicByID(id); t != nil {
			return t, message.OK
		}
		return nil, message.UnknownTopicID
	}
	if t := img.Topic(name); t != nil {
		return t, message.OK
	}
	if illegal(name) {
		return nil, message.InvalidTopicException
	}
	return nil, message.UnknownTopicOrPartition
}

// illegal says that a topic can not have that name (S44): 1 to 249 of letters, digits, '.', '_' and '-', neither "." nor
// "..".
func illegal(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 249 {
		return true
	}
	for i := 0; i < len(name); i++ {
		switch ch := name[i]; {
		case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9', ch == '.', ch == '_', ch == '-':
		default:
			return true
		}
	}
	return false
}
