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
	if o.consumers != nil {
		return o.consumers.subscribes(topic)
	}
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
		case o.populated():
			answer.Codes[i] = message.NonEmptyGroup
		default:
			for _, topic := range o.topics() {
				for _, p := range o.partitions(topic) {
					g.drop(o, topic, p)
				}
			}
			g.dropPending(g.txns.of(name))
			g.bury(o)
		}
	}
	return answer
}

// Types of groups (KIP-848).
const (
	classic  = "classic"
	consumed = "consumer"
)

// shown are a group's type, protocol type and state as clients see them.
func (o *Group) shown() (kind, protocolType, state string) {
	if o.consumers != nil {
		return consumed, consumerProtocol, o.consumers.stateName()
	}
	return classic, o.protocolType, o.state.String()
}

// list is S68.
func (g *Groups) list(m *message.ListGroups) *message.GroupsListed {
	answer := &message.GroupsListed{}
	for _, o := range g.sorted() {
		kind, protocolType, state := o.shown()
		if !o.written() && o.vain() || !admits(m.States, state) || !admits(m.Types, kind) {
			continue
		}
		answer.Groups = append(answer.Groups, message.ListedGroup{Group: o.name, ProtocolType: protocolType, State: state, Type: kind})
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
	if o == nil || o.consumers != nil {
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
