package metadata

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// TestPlays runs the plays: each file's name is the claim. A command is a request, its lines are the items; what is shown
// is the answer and then the records that were decided.
func TestPlays(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		p := newPlay()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return p.command(t, d) })
	})
}

type play struct {
	brain *Brain
	tip   *image.Image
	names map[message.TopicID]string
}

func newPlay() *play {
	draw := rand.New(rand.NewPCG(1, 2))
	return &play{brain: &Brain{Node: 1, Draw: draw.Uint64}, tip: image.Empty(), names: map[message.TopicID]string{}}
}

func (p *play) command(t *testing.T, d *datadriven.TestData) string {
	only := d.HasArg("validate-only")
	lines := strings.Split(strings.TrimSpace(d.Input), "\n")
	switch d.Cmd {
	case "static":
		p.brain.Static = setting.NewValues(pairs(strings.Fields(d.Input)))
		return ""
	case "found":
		return p.carryOut(p.brain.Found(p.tip, p.tip.Index+1))
	case "register":
		for _, line := range lines {
			p.ask(registration(line))
		}
		return p.brokers()
	case "fence", "unfence", "drain", "undrain":
		n, epoch := p.registration(d.Input)
		return p.ask(map[string]any{"fence": &Fence{n, epoch}, "unfence": &Unfence{n, epoch}, "drain": &Drain{n, epoch}, "undrain": &Undrain{n, epoch}}[d.Cmd])
	case "heartbeat":
		n, epoch := p.registration(d.Input)
		m := &message.BrokerHeartbeat{Node: n, Epoch: epoch, Applied: p.tip.Index, WantShutdown: d.HasArg("shutdown")}
		if d.HasArg("behind") {
			m.Applied = 0
		}
		return p.ask(m)
	case "unregister":
		return p.ask(&message.UnregisterBroker{Node: message.NodeID(number(d.Input))})
	case "balance":
		return p.ask(&Balance{})
	case "alter-partition":
		n, epoch := p.registration(lines[0])
		m := &message.AlterPartition{Node: n, Epoch: epoch}
		for _, line := range lines[1:] {
			m.Partitions = append(m.Partitions, p.newISR(line))
		}
		return p.ask(m)
	case "reassign":
		m := &message.ReassignPartitions{KeepReplicationFactor: d.HasArg("keep-factor")}
		for _, line := range lines {
			m.Partitions = append(m.Partitions, reassignment(line))
		}
		return p.ask(m)
	case "reassigning":
		var b strings.Builder
		for topic, i := range p.tip.Reassigning() {
			fmt.Fprintf(&b, "%s:%d\n", topic.Name, i)
		}
		return b.String()
	case "create-topics":
		m := &message.CreateTopics{ValidateOnly: only}
		for _, line := range lines {
			m.Topics = append(m.Topics, newTopic(t, line))
		}
		return p.ask(m)
	case "delete-topics":
		m := &message.DeleteTopics{}
		for _, line := range lines {
			m.Topics = append(m.Topics, p.reference(line))
		}
		return p.ask(m)
	case "create-partitions":
		m := &message.CreatePartitions{ValidateOnly: only}
		for _, line := range lines {
			m.Topics = append(m.Topics, morePartitions(line))
		}
		return p.ask(m)
	case "alter-configs":
		m := &message.AlterConfigs{ValidateOnly: only, Replace: d.HasArg("replace")}
		for _, line := range lines {
			m.Resources = append(m.Resources, alteration(line))
		}
		return p.ask(m)
	case "elect-leaders":
		m := &message.ElectLeaders{Unclean: d.HasArg("unclean"), All: d.HasArg("all")}
		for _, name := range strings.Fields(d.Input) {
			m.Partitions = append(m.Partitions, partitionName(name))
		}
		return p.ask(m)
	case "update-features":
		m := &message.UpdateFeatures{ValidateOnly: only}
		for _, line := range lines {
			f := strings.Fields(line)
			m.Updates = append(m.Updates, message.FeatureUpdate{Name: f[0], Level: int16(number(f[1])), Type: int8(number(f[2]))})
		}
		return p.ask(m)
	case "allocate":
		f := strings.Fields(d.Input)
		return p.ask(&message.AllocateProducerIDs{Broker: message.NodeID(number(f[0])), Epoch: int64(number(f[1]))})
	case "assign-node":
		return p.ask(&message.AssignNode{})
	case "image":
		var b strings.Builder
		for topic := range p.tip.Topics() {
			fmt.Fprintf(&b, "%s\n%s", topic.Name, p.topic(topic.Name))
		}
		return b.String()
	case "topic":
		return p.topic(strings.TrimSpace(d.Input))
	}
	t.Fatalf("unknown command %s", d.Cmd)
	return ""
}

func (p *play) ask(m any) string {
	d, ok := p.brain.Decide(p.tip, p.tip.Index+1, m)
	if !ok {
		return "the brain does not know it"
	}
	return p.carryOut(d)
}

// carryOut shows a decision and makes its records come true: the image that came with it must be the one that they make.
func (p *play) carryOut(d Decision) string {
	var b strings.Builder
	b.WriteString(show(d.Reply))
	for _, r := range d.Records {
		if m, ok := r.(*message.TopicRecord); ok {
			p.names[m.ID] = m.Name
		}
		fmt.Fprintf(&b, "record: %s\n", p.record(r))
	}
	if len(d.Records) > 0 {
		next, _, err := p.tip.Apply(p.tip.Index+1, d.Records...)
		if err != nil {
			return b.String() + "error: " + err.Error() + "\n"
		}
		if d.Image != nil && fmt.Sprint(d.Image.Index) != fmt.Sprint(next.Index) {
			fmt.Fprintf(&b, "error: the decision's image is at %d and not at %d\n", d.Image.Index, next.Index)
		}
		p.tip = next
	}
	return b.String()
}

func show(reply any) string {
	var b strings.Builder
	say := func(what string, p message.Problem, more ...any) {
		if p.Code != message.OK {
			fmt.Fprintf(&b, "%s: %d %s\n", what, p.Code, p.Message)
			return
		}
		fmt.Fprintln(&b, strings.TrimSpace(what+": ok "+fmt.Sprintln(more...)))
	}
	switch r := reply.(type) {
	case *message.TopicsCreated:
		for _, t := range r.Results {
			say(strconv.Quote(t.Name), t.Problem, "partitions", t.Partitions, "replication", t.Replication, "id", !t.ID.IsZero())
		}
	case *message.TopicsDeleted:
		for _, t := range r.Results {
			say(strconv.Quote(t.Name), t.Problem, "id", !t.ID.IsZero())
		}
	case *message.Results:
		for i, p := range r.Problems {
			say(strconv.Itoa(i), p)
		}
	case *message.LeadersElected:
		for _, e := range r.Results {
			say(fmt.Sprintf("%s:%d", e.Topic, e.Index), e.Problem)
		}
	case nil:
	default:
		fmt.Fprintf(&b, "%+v\n", r)
	}
	return b.String()
}

func (p *play) record(r message.MetadataRecord) string {
	switch r := r.(type) {
	case *message.TopicRecord:
		return fmt.Sprintf("topic %s internal=%t", r.Name, r.Internal)
	case *message.PartitionRecord:
		return fmt.Sprintf("partition %s:%d leader=%d epoch=%d/%d replicas=%v isr=%v", p.names[r.Partition.Topic], r.Partition.Index,
			r.Leader, r.LeaderEpoch, r.PartitionEpoch, r.Replicas, r.ISR) + others(r)
	case *message.TopicRemoved:
		return "removed " + p.names[r.ID]
	case *message.ConfigRecord:
		if r.Value == nil {
			return fmt.Sprintf("config %d/%q %s gone", r.Kind, r.Name, r.Key)
		}
		return fmt.Sprintf("config %d/%q %s=%s", r.Kind, r.Name, r.Key, *r.Value)
	case *message.ClusterRecord:
		return fmt.Sprintf("cluster, an id of %d letters", len(r.ID))
	}
	return fmt.Sprintf("%T %+v", r, r)
}

// others are a partition's lists that mostly are empty.
func others(r *message.PartitionRecord) (s string) {
	for _, list := range []struct {
		name  string
		nodes []message.NodeID
	}{{"elr", r.ELR}, {"last-known-elr", r.LastKnownELR}, {"adding", r.Adding}, {"removing", r.Removing}} {
		if len(list.nodes) > 0 {
			s += fmt.Sprintf(" %s=%v", list.name, list.nodes)
		}
	}
	return s
}

func (p *play) brokers() string {
	var b strings.Builder
	for n := range p.tip.Brokers() {
		fmt.Fprintf(&b, "node %d epoch %d rack %q\n", n.ID, n.Epoch, n.Rack)
	}
	return b.String()
}

func (p *play) topic(name string) string {
	t := p.tip.Topic(name)
	if t == nil {
		return "none"
	}
	var b strings.Builder
	for i, part := range t.Partitions {
		fmt.Fprintf(&b, "%d leader=%d epoch=%d isr=%v%s\n", i, part.Leader, part.LeaderEpoch, part.ISR, others(part.Record(t.At(int32(i)))))
	}
	for k, v := range p.tip.Config(message.ResourceTopic, name).All() {
		fmt.Fprintf(&b, "%s=%s\n", k, v)
	}
	return b.String()
}

// registration reads "2" or "2 epoch=7"; without an epoch it is the node's own.
func (p *play) registration(line string) (n message.NodeID, epoch int64) {
	f := strings.Fields(line)
	n = message.NodeID(number(f[0]))
	if b := p.tip.Broker(n); b != nil {
		epoch = b.Epoch
	}
	if e, ok := pairs(f[1:])["epoch"]; ok {
		epoch = int64(number(e))
	}
	return n, epoch
}

// newISR reads "T:0 isr=1,2 leader-epoch=3 partition-epoch=4"; without epochs they are the newest.
func (p *play) newISR(line string) message.NewISR {
	f := strings.Fields(line)
	at, args := partitionName(f[0]), pairs(f[1:])
	n := message.NewISR{ISR: nodeList(args["isr"]), Partition: message.PartitionID{Topic: message.TopicID{1}, Index: at.Index}}
	topic := p.tip.Topic(at.Topic)
	if topic == nil {
		return n
	}
	n.Partition.Topic = topic.ID
	if part := topic.Partition(at.Index); part != nil {
		n.LeaderEpoch, n.PartitionEpoch = part.LeaderEpoch, part.PartitionEpoch
	}
	if e, ok := args["leader-epoch"]; ok {
		n.LeaderEpoch = int32(number(e))
	}
	if e, ok := args["partition-epoch"]; ok {
		n.PartitionEpoch = int32(number(e))
	}
	return n
}

// reassignment reads "T:0 1,2,3" or "T:0 cancel".
func reassignment(line string) message.Reassignment {
	name, nodes, _ := strings.Cut(line, " ")
	r := message.Reassignment{NamedPartition: partitionName(name)}
	if nodes != "cancel" {
		r.Replicas = append([]message.NodeID{}, nodeList(nodes)...)
	}
	return r
}

func partitionName(s string) message.NamedPartition {
	topic, index, _ := strings.Cut(s, ":")
	return message.NamedPartition{Topic: topic, Index: int32(number(index))}
}

// registration reads "1 rack=a incarnation=2 directory=2".
func registration(line string) *message.RegisterBroker {
	f := strings.Fields(line)
	m := &message.RegisterBroker{Node: message.NodeID(number(f[0])), Incarnation: message.TopicID{1}}
	args := pairs(f[1:])
	m.Rack = args["rack"]
	if v, ok := args["directory"]; ok {
		m.Directory[0] = byte(number(v))
	}
	if v, ok := args["incarnation"]; ok {
		m.Incarnation[0] = byte(number(v))
	}
	return m
}

// newTopic reads "name partitions=1 replication=1 assign=0:1,2;1:2,1 key=value …"; key=null is a null value.
func newTopic(t *testing.T, line string) message.NewTopic {
	name, rest, _ := strings.Cut(line, " ")
	if strings.HasPrefix(name, `"`) {
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			t.Fatal(err)
		}
		name, _ = strconv.Unquote(quoted)
		rest = line[len(quoted):]
	}
	n := message.NewTopic{Name: name, Partitions: -1, Replication: -1}
	for _, arg := range strings.Fields(rest) {
		k, v, _ := strings.Cut(arg, "=")
		switch k {
		case "partitions":
			n.Partitions = int32(number(v))
		case "replication":
			n.Replication = int16(number(v))
		case "assign":
			for part := range strings.SplitSeq(v, ";") {
				index, nodes, _ := strings.Cut(part, ":")
				n.Assignment = append(n.Assignment, message.Assignment{Partition: int32(number(index)), Replicas: nodeList(nodes)})
			}
		default:
			n.Configs = append(n.Configs, message.Setting{Name: k, Value: maybe(v)})
		}
	}
	return n
}

func (p *play) reference(line string) (ref message.TopicRef) {
	for k, v := range pairs(strings.Fields(line)) {
		switch k {
		case "name":
			ref.Name = v
		case "id":
			ref.ID = message.TopicID{15: 99}
			if t := p.tip.Topic(v); t != nil {
				ref.ID = t.ID
			}
		}
	}
	return ref
}

// morePartitions reads "name 3 assign=1,2;2,1".
func morePartitions(line string) message.MorePartitions {
	f := strings.Fields(line)
	m := message.MorePartitions{Name: f[0], Count: int32(number(f[1]))}
	for _, arg := range f[2:] {
		for nodes := range strings.SplitSeq(strings.TrimPrefix(arg, "assign="), ";") {
			m.Assignment = append(m.Assignment, nodeList(nodes))
		}
	}
	return m
}

var kinds = map[string]message.ResourceKind{"topic": message.ResourceTopic, "broker": message.ResourceBroker, "logger": message.ResourceBrokerLogger,
	"metrics": message.ResourceClientMetrics, "group": message.ResourceGroup, "what": 99}

// alteration reads "topic/T set:a=1 delete:b append:c=x subtract:d=y".
func alteration(line string) message.AlterResource {
	f := strings.Fields(line)
	kind, name, _ := strings.Cut(f[0], "/")
	r := message.AlterResource{Resource: message.Resource{Kind: kinds[kind], Name: name}}
	ops := map[string]int8{"set": 0, "delete": 1, "append": 2, "subtract": 3}
	for _, arg := range f[1:] {
		op, rest, _ := strings.Cut(arg, ":")
		k, v, hasValue := strings.Cut(rest, "=")
		o := message.ConfigOp{Name: k, Op: ops[op]}
		if hasValue {
			o.Value = maybe(v)
		}
		r.Ops = append(r.Ops, o)
	}
	return r
}

func maybe(v string) *string {
	if v == "null" {
		return nil
	}
	return &v
}

func pairs(fields []string) map[string]string {
	m := map[string]string{}
	for _, f := range fields {
		k, v, _ := strings.Cut(f, "=")
		m[k] = v
	}
	return m
}

func nodeList(s string) (nodes []message.NodeID) {
	for n := range strings.SplitSeq(s, ",") {
		if n != "" {
			nodes = append(nodes, message.NodeID(number(n)))
		}
	}
	return nodes
}

func number(s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		panic(err)
	}
	return n
}
