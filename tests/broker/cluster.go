package broker

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Place is where a node of a cluster runs.
type Place struct {
	Data  string // its data directory
	Host  string // the address at which clients and other nodes reach it; 127.0.0.1 if empty
	Netns string // the network namespace that it runs in; that of the test if empty
}

// Cluster is a few brokers that replicate to each other. Node n is Nodes[n-1].
type Cluster struct {
	Nodes []*Broker

	t *testing.T
}

// NewCluster starts a cluster of one node at each place, with settings "name=value" of every node, and waits until all serve.
// Topics have as many replicas as there are nodes, up to three, of which two must be in sync.
func NewCluster(t *testing.T, places []Place, settings ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	settings = append([]string{"cluster.secret=a-secret-of-the-tests", fmt.Sprintf("default.replication.factor=%d", min(len(places), 3)),
		"min.insync.replicas=2", "auto.create.topics.enable=false"}, settings...)
	var meshes []string
	for range places {
		meshes = append(meshes, freeAddr(t))
	}
	for i, at := range places {
		b := New(t, at.Data)
		if at.Host != "" {
			b.Addr, meshes[i] = moved(b.Addr, at.Host), moved(meshes[i], at.Host)
		}
		if at.Netns != "" {
			b.through = []string{"ip", "netns", "exec", at.Netns}
		}
		c.Nodes = append(c.Nodes, b)
	}
	for i, b := range c.Nodes {
		b.args = []string{"--node-id", strconv.Itoa(i + 1), "--bootstrap-expect", strconv.Itoa(len(places)), "--cluster", meshes[i]}
		for j, other := range meshes {
			if j != i {
				b.args = append(b.args, "--join", other)
			}
		}
		for _, s := range settings {
			b.args = append(b.args, "--set", s)
		}
	}
	c.StartAll()
	return c
}

// moved is an address's port on another host.
func moved(address, host string) string {
	_, port, _ := net.SplitHostPort(address) // it was made by freeAddr
	return net.JoinHostPort(host, port)
}

// StartAll starts every node that does not run, all at the same time, and waits until they serve.
func (c *Cluster) StartAll() {
	c.t.Helper()
	var begun []*Broker
	for _, b := range c.Nodes {
		if !b.Runs() {
			b.begin()
			begun = append(begun, b)
		}
	}
	for _, b := range begun {
		b.awaitReady()
	}
}

// Node is a node by its number.
func (c *Cluster) Node(number int32) *Broker { return c.Nodes[number-1] }

// Addrs are where all nodes serve clients.
func (c *Cluster) Addrs() (all []string) {
	for _, b := range c.Nodes {
		all = append(all, b.Addr)
	}
	return all
}

// NewClient makes a client of the whole cluster that tries again soon and gives up waiting for a node that does not answer
// within seconds. It is closed when the test ends.
func (c *Cluster) NewClient(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	return newClient(t, append([]kgo.Opt{kgo.SeedBrokers(c.Addrs()...), kgo.DialTimeout(time.Second),
		kgo.ProduceRequestTimeout(2 * time.Second), kgo.RequestTimeoutOverhead(time.Second)}, opts...))
}

// Topic is who leads a topic's partitions and which of their replicas are in sync. Nobody's partition has the leader -1.
func (c *Cluster) Topic(ctx context.Context, client *kgo.Client, topic string) (leaders []int32, insync [][]int32, err error) {
	m, err := kadm.NewClient(client).Metadata(ctx, topic)
	if err != nil {
		return nil, nil, err
	}
	at := m.Topics[topic]
	for p := range int32(len(at.Partitions)) {
		leaders = append(leaders, at.Partitions[p].Leader)
		insync = append(insync, at.Partitions[p].ISR)
	}
	return leaders, insync, at.Err
}

// Quorum is who leads the metadata quorum, and which nodes vote in it.
func (c *Cluster) Quorum(ctx context.Context, client *kgo.Client) (leader int32, voters []int32, err error) {
	q := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic, topic.Partitions = "__cluster_metadata", append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	q.Topics = append(q.Topics, topic)
	r, err := q.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(r.ErrorCode)
	}
	if err == nil && (len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1) {
		err = fmt.Errorf("the quorum's answer names no partition: %+v", r)
	}
	if err != nil {
		return 0, nil, err
	}
	at := r.Topics[0].Partitions[0]
	for _, v := range at.CurrentVoters {
		voters = append(voters, v.ReplicaID)
	}
	return at.LeaderID, voters, kerr.ErrorForCode(at.ErrorCode)
}

// ReadAll reads a topic's partitions from their start to the end that they have now.
func (c *Cluster) ReadAll(t *testing.T, topic string, partitions int32) []*kgo.Record {
	t.Helper()
	return readAll(t, c.NewClient(t, FromStart(topic, partitions)), topic)
}
