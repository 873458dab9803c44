package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// picture is a cluster at one moment, as far as clients can see it.
type picture struct {
	Cluster         string   `json:"cluster"`
	Controller      int32    `json:"controller"` // who leads the metadata quorum; -1: nobody does
	Term            int64    `json:"term"`       // of the quorum
	Nodes           []member `json:"nodes"`
	Topics          int      `json:"topics"`
	Partitions      int      `json:"partitions"`
	UnderReplicated int      `json:"under_replicated"`
	Leaderless      int      `json:"without_leader"`
	Moving          int      `json:"moving"`
	Troubled        []spread `json:"troubled"` // under-replicated or without a leader

	all      []spread       // every partition, by topic and number
	promises map[string]int // min.insync.replicas by topic, if that was asked for
}

// member is one node.
type member struct {
	Node      int32  `json:"node"`
	Address   string `json:"address"`
	Rack      string `json:"rack"`
	State     string `json:"state"`
	Role      string `json:"role"` // leader, voter or observer of the metadata quorum
	Leads     int    `json:"leads"`
	Replicas  int    `json:"replicas"`
	OutOfSync int    `json:"out_of_sync"`
	Cordoned  bool   `json:"cordoned"` // it gets no new replicas: it is drained
}

// What a node can be.
const (
	alive  = "alive"
	fenced = "fenced" // registered, but not heard from for too long
	gone   = "gone"   // not registered, though replicas are assigned to it
)

// spread is where one partition's replicas are.
type spread struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Leader    int32   `json:"leader"`
	Epoch     int32   `json:"leader_epoch"`
	Replicas  []int32 `json:"replicas"`
	ISR       []int32 `json:"isr"`
	Adding    []int32 `json:"adding,omitempty"`
	Removing  []int32 `json:"removing,omitempty"`
}

func (s *spread) name() string          { return fmt.Sprintf("%s/%d", s.Topic, s.Partition) }
func (s *spread) moving() bool          { return len(s.Adding)+len(s.Removing) > 0 }
func (s *spread) leaderless() bool      { return s.Leader < 0 }
func (s *spread) underReplicated() bool { return len(s.lagging()) > 0 }
func (s *spread) troubled() bool        { return s.leaderless() || s.underReplicated() }

// lagging are the replicas that should be in sync and are not; those that a move only adds are not expected to be yet.
func (s *spread) lagging() (nodes []int32) {
	for _, n := range s.Replicas {
		if !slices.Contains(s.ISR, n) && !slices.Contains(s.Adding, n) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// look asks a cluster for everything that a picture shows.
func look(ctx context.Context, client *kgo.Client) (*picture, error) {
	p := &picture{Controller: -1, Nodes: []member{}, Troubled: []spread{}}
	q := kmsg.NewPtrDescribeClusterRequest()
	q.IncludeFencedBrokers = true
	cluster, err := q.RequestWith(ctx, client)
	if err == nil {
		err = told(kerr.ErrorForCode(cluster.ErrorCode), textOf(cluster.ErrorMessage))
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the nodes: %w", err)
	}
	p.Cluster = cluster.ClusterID
	for _, b := range cluster.Brokers {
		m := member{Node: b.NodeID, Address: net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))), Rack: textOf(b.Rack), State: alive}
		if b.IsFenced {
			m.State = fenced
		}
		p.Nodes = append(p.Nodes, m)
	}
	if p.all, err = spreads(ctx, client); err != nil {
		return nil, err
	}
	p.count()
	p.askCordons(ctx, client)
	return p, p.askQuorum(ctx, client)
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// spreads lists every partition of the topics, of all if none is named, and whether it is on the move.
func spreads(ctx context.Context, client *kgo.Client, topics ...string) ([]spread, error) {
	listed, err := kadm.NewClient(client).ListTopicsWithInternal(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("ask for the topics: %w", err)
	}
	moves, err := kmsg.NewPtrListPartitionReassignmentsRequest().RequestWith(ctx, client)
	if err == nil {
		err = told(kerr.ErrorForCode(moves.ErrorCode), textOf(moves.ErrorMessage))
	}
	if err != nil {
		return nil, fmt.Errorf("ask what is moving: %w", err)
	}
	moving := map[string]kmsg.ListPartitionReassignmentsResponseTopicPartition{}
	for _, t := range moves.Topics {
		for _, m := range t.Partitions {
			moving[fmt.Sprintf("%s/%d", t.Topic, m.Partition)] = m
		}
	}
	all := []spread{}
	for _, t := range listed.Sorted() {
		if t.Err != nil {
			return nil, noTopic(t.Topic, t.Err)
		}
		for _, d := range t.Partitions.Sorted() {
			s := spread{Topic: t.Topic, Partition: d.Partition, Leader: d.Leader, Epoch: d.LeaderEpoch, Replicas: d.Replicas, ISR: d.ISR}
			m := moving[s.name()]
			s.Adding, s.Removing = m.AddingReplicas, m.RemovingReplicas
			all = append(all, s)
		}
	}
	return all, nil
}

// count adds up the partitions for the cluster and for each node.
func (p *picture) count() {
	topic := ""
	for i := range p.all {
		s := &p.all[i]
		if p.Partitions++; s.Topic != topic {
			topic = s.Topic
			p.Topics++
		}
		if s.moving() {
			p.Moving++
		}
		if s.underReplicated() {
			p.UnderReplicated++
		}
		if s.leaderless() {
			p.Leaderless++
		} else {
			p.node(s.Leader).Leads++
		}
		if s.troubled() {
			p.Troubled = append(p.Troubled, *s)
		}
		for _, n := range s.Replicas {
			p.node(n).Replicas++
		}
		for _, n := range s.lagging() {
			p.node(n).OutOfSync++
		}
	}
	slices.SortFunc(p.Nodes, func(a, b member) int { return cmp.Compare(a.Node, b.Node) })
}

// node finds a node; one that nobody knows but partitions is gone.
func (p *picture) node(id int32) *member {
	if m := p.find(id); m != nil {
		return m
	}
	p.Nodes = append(p.Nodes, member{Node: id, State: gone})
	return &p.Nodes[len(p.Nodes)-1]
}

// find finds a node, nil if there is none.
func (p *picture) find(id int32) *member {
	if i := slices.IndexFunc(p.Nodes, func(m member) bool { return m.Node == id }); i >= 0 {
		return &p.Nodes[i]
	}
	return nil
}

// askQuorum asks who agrees on the metadata, and who leads them.
func (p *picture) askQuorum(ctx context.Context, client *kgo.Client) error {
	q := kmsg.NewPtrDescribeQuorumRequest()
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic, t.Partitions = "__cluster_metadata", append(t.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	q.Topics = append(q.Topics, t)
	r, err := q.RequestWith(ctx, client)
	if err == nil {
		err = told(kerr.ErrorForCode(r.ErrorCode), textOf(r.ErrorMessage))
	}
	if err == nil && (len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1) {
		err = errors.New("the answer names no partition")
	}
	if err != nil {
		return fmt.Errorf("ask for the metadata quorum: %w", err)
	}
	at := r.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(at.ErrorCode); err != nil {
		return fmt.Errorf("ask for the metadata quorum: %w", err)
	}
	p.Controller, p.Term = at.LeaderID, int64(at.LeaderEpoch)
	for role, list := range map[string][]kmsg.DescribeQuorumResponseTopicPartitionReplicaState{"voter": at.CurrentVoters, "observer": at.Observers} {
		for _, v := range list {
			if m := p.find(v.ReplicaID); m != nil {
				m.Role = role
			}
		}
	}
	if m := p.find(p.Controller); m != nil {
		m.Role = "leader"
	}
	return nil
}

// state is what a node is, for people.
func (m *member) state() string {
	if m.Cordoned && m.State == alive {
		return "drained"
	}
	return m.State
}

func memberTable(out io.Writer, members []member) error {
	return table(out, "NODE ADDRESS RACK STATE ROLE LEADS REPLICAS OUT-OF-SYNC", func(row func(...any)) {
		for _, m := range members {
			row(m.Node, dash(m.Address), dash(m.Rack), m.state(), dash(m.Role), m.Leads, m.Replicas, m.OutOfSync)
		}
	})
}

func spreadTable(out io.Writer, list []spread) error {
	return table(out, "PARTITION LEADER EPOCH REPLICAS IN-SYNC ADDING REMOVING", func(row func(...any)) {
		for i := range list {
			s := &list[i]
			leader := strconv.Itoa(int(s.Leader))
			if s.leaderless() {
				leader = "none"
			}
			row(s.name(), leader, s.Epoch, list32(s.Replicas), list32(s.ISR), list32(s.Adding), list32(s.Removing))
		}
	})
}

// dash stands where there is nothing to say.
func dash(text string) string { return cmp.Or(text, "-") }

// list32 are numbers as --to takes them.
func list32(numbers []int32) string {
	var b []byte
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return dash(string(b))
}
