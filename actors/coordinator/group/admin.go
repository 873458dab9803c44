package group

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
)

// consumerProtocol is the only protocol type that is looked into.
const consumerProtocol = "consumer"

// subscribes says that some member of a live group of consumers may read a topic. One that cannot be read may read everything.
func (o *Group) subscribes(topic string) bool {
	if o.protocolType != consumerProtocol {
		return false
	}
	return slices.ContainsFunc(o.members, func(m *member) bool {
		var said kmsg.ConsumerMemberMetadata
		return said.ReadFrom(m.metadata(o.protocol)) != nil || slices.Contains(said.Topics, topic)
	})
}

// deleteGroups is S76.
func (g *Groups) deleteGroups(m *message.DeleteGroups) *message.GroupsDeleted {
	answer := &message.GroupsDeleted{Codes: make([]message.Code, len(m.Groups))}
	for i, name := range m.Groups {
		switch o := g.named[name]; {
		case o == nil:
			answer.Codes[i] = message.GroupIDNotFound
		case len(o.members)+len(o.pending) > 0:
			answer.Codes[i] = message.NonEmptyGroup
		default:
			for _, topic := range o.topics() {
				for _, p := range o.partitions(topic) {
					g.drop(o, topic, p)
				}
			}
			g.bury(o)
		}
	}
	return answer
}

const classic = "classic"

// list is S68.
func (g *Groups) list(m *message.ListGroups) *message.GroupsListed {
	answer := &message.GroupsListed{}
	for _, o := range g.sorted() {
		if o.generation == 0 && o.vain() || !admits(m.States, o.state.String()) || !admits(m.Types, classic) {
			continue
		}
		answer.Groups = append(answer.Groups, message.ListedGroup{Group: o.name, ProtocolType: o.protocolType, State: o.state.String(), Type: classic})
	}
	return answer
}

func admits(filter []string, name string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, name) })
}

func (g *Groups) describe(m *message.DescribeGroups) *message.GroupsDescribed {
	answer := &message.GroupsDescribed{Groups: make([]message.DescribedGroup, len(m.Groups))}
	for i, name := range m.Groups {
		answer.Groups[i] = g.describeOne(name)
	}
	return answer
}

func (g *Groups) describeOne(name string) message.DescribedGroup {
	o := g.named[name]
	if o == nil {
		return message.DescribedGroup{Code: message.GroupIDNotFound, Group: name, State: "Dead"}
	}
	d := message.DescribedGroup{Group: name, State: o.state.String(), ProtocolType: o.protocolType}
	if o.state == stable {
		d.Protocol = o.protocol
	}
	for _, m := range o.members {
		one := message.DescribedMember{Member: m.id, Instance: m.instance, ClientID: m.clientID, Host: m.host}
		if o.state == stable {
			one.Metadata, one.Assignment = m.metadata(o.protocol), m.assignment
		}
		d.Members = append(d.Members, one)
	}
	return d
}
