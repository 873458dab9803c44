package metadata

import (
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
)

// topicNameMax is how long a topic's name may be, in bytes.
const topicNameMax = 249

// legal refuses names that are not 1 to 249 of [a-zA-Z0-9._-], or that mean a folder (S44). The texts are Kafka's (S135).
func legal(name string) message.Problem {
	const begin = "Topic name is invalid: "
	switch {
	case name == "":
		return refuse(message.InvalidTopicException, begin+"the empty string is not allowed")
	case name == "." || name == "..":
		return refuse(message.InvalidTopicException, begin+"'%s' is not allowed", name)
	case len(name) > topicNameMax:
		return refuse(message.InvalidTopicException, begin+"the length of '%s' is longer than the max allowed length %d", name, topicNameMax)
	case strings.ContainsFunc(name, outlaw):
		return refuse(message.InvalidTopicException, begin+"'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	}
	return message.Problem{}
}

func outlaw(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		return false
	}
	return true
}

// internal are the topics that clients may not write (Kafka's Topic.isInternal).
func internal(name string) bool {
	return name == "__consumer_offsets" || name == "__transaction_state" || name == "__share_group_state"
}
