package group

import "github.com/troupe-broker/troupe/actors/message"

func (g *Groups) describeConsumers(m *message.DescribeConsumers) *message.ConsumersDescribed {
	answer := &message.ConsumersDescribed{Groups: make([]message.DescribedConsumers, len(m.Groups))}
	for i, name := range m.Groups {
		answer.Groups[i] = g.describeConsumer(name)
	}
	return answer
}

func (g *Groups) describeConsumer(name string) message.DescribedConsumers {
	o := g.named[name]
	switch {
	case o == nil:
		return message.DescribedConsumers{Code: message.GroupIDNotFound, Message: "Group " + name + " not found.", Group: name, State: "Dead"}
	case o.consumers == nil:
		return message.DescribedConsumers{Code: message.GroupIDNotFound, Message: "Group " + name + " is not a consumer group.", Group: name, State: "Dead"}
	}
	k := o.consumers
	d := message.DescribedConsumers{Group: name, State: k.stateName(), Assignor: k.target.assignor, Epoch: k.epoch, AssignmentEpoch: k.target.epoch}
	if d.Assignor == "" {
		d.Assignor = g.preferred(k)
	}
	for _, c := range k.members {
		d.Members = append(d.Members, message.DescribedConsumer{Member: c.id, Instance: c.instance, Rack: c.rack, ClientID: c.clientID, Host: c.host,
			Epoch: c.epoch, Topics: c.names, Pattern: c.pattern, Assignment: c.assigned, Target: k.target.of[c.id], Classic: c.classic != nil})
	}
	return d
}
