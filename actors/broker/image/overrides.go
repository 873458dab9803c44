package image

import (
	"iter"
	"maps"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Overrides are the configuration values set for one resource, by name. They are never changed in place.
type Overrides map[string]string

// All are the entries in the order of their names.
func (o Overrides) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, name := range slices.Sorted(maps.Keys(o)) {
			if !yield(name, o[name]) {
				return
			}
		}
	}
}

// With is a copy in which name has the value; without a value the name is gone.
func (o Overrides) With(name string, value *string) Overrides {
	next := make(Overrides, len(o)+1)
	maps.Copy(next, o)
	if value == nil {
		delete(next, name)
	} else {
		next[name] = *value
	}
	return next
}

// Layers are what the settings of a node rest on: set for it, set for all nodes, and what it was started with.
func (i *Image) Layers(node message.NodeID, static setting.Values) setting.Layers {
	return setting.Layers{
		Broker:  i.Config(message.ResourceBroker, BrokerName(node)),
		Cluster: i.Config(message.ResourceBroker, ""),
		Static:  static,
	}
}

// TopicConfig is a topic's effective configuration on the node whose layers these are.
func (i *Image) TopicConfig(t *Topic, l setting.Layers) setting.Topic {
	return setting.TopicFrom(i.Config(message.ResourceTopic, t.Name), l)
}
