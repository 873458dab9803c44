package node

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
)

// trio are places for the meshes of nodes 1 to 3, and where their data is.
type trio struct {
	t    *testing.T
	mesh [4]string
	data [4]string
}

func newTrio(t *testing.T) *trio {
	r := &trio{t: t}
	for i := range r.mesh {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r.mesh[i], r.data[i] = l.Addr().String(), t.TempDir()
		defer l.Close()
	}
	return r
}

// start starts nodes side by side, by what more is said to them.
func (r *trio) start(more map[int][]string) (nodes map[int]*Node, failed map[int]error) {
	nodes, failed = map[int]*Node{}, map[int]error{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, set := range more {
		c := configured(r.t, r.data[i], append([]string{"node.id=" + strconv.Itoa(i), "cluster.listen=" + r.mesh[i]}, set...)...)
		all.Go(func() {
			n, err := Start(c, io.Discard)
			mu.Lock()
			defer mu.Unlock()
			if failed[i] = err; err == nil {
				nodes[i] = n
			}
		})
	}
	all.Wait()
	return nodes, failed
}

// stop stops nodes one after the other, so that each can hand over to the rest.
func (r *trio) stop(nodes map[int]*Node) {
	r.t.Helper()
	for i := 3; i > 0; i-- {
		if nodes[i] == nil {
			continue
		}
		began := time.Now()
		if err := nodes[i].Close(); err != nil {
			r.t.Errorf("node %d: %v", i, err)
		}
		r.t.Logf("node %d has stopped after %v", i, time.Since(began))
	}
}

// imageOf is what a node knows of its cluster when it knows of so many brokers.
func imageOf(t *testing.T, n *Node, brokers int) *image.Image {
	t.Helper()
	for range 1000 {
		img, _ := n.stage.Published(message.BrokerAt(n.config.ID)).(*image.Image)
		count := 0
		for range img.Brokers() {
			count++
		}
		if count == brokers {
			return img
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("node %d does not hear of %d brokers", n.config.ID, brokers)
	return nil
}

// Three found one cluster, and are the same one after a restart, which is told nothing of founding.
func TestThreeFoundOneCluster(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := newTrio(t)
	expect, join := "bootstrap.expect=3", "cluster.join="+r.mesh[1]
	began := time.Now()
	nodes, failed := r.start(map[int][]string{1: {expect}, 2: {expect, join}, 3: {expect, join}})
	for i, err := range failed {
		if err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
	}
	t.Logf("three nodes serve after %v", time.Since(began))
	id := imageOf(t, nodes[1], 3).Cluster
	for i, n := range nodes {
		if img := imageOf(t, n, 3); img.Cluster != id {
			t.Errorf("node %d is of cluster %s, node 1 of %s", i, img.Cluster, id)
		}
	}
	for b := range imageOf(t, nodes[1], 3).Brokers() {
		if e := b.Endpoints[0]; fmt.Sprintf("%s:%d", e.Host, e.Port) != nodes[int(b.ID)].Kafka() {
			t.Errorf("clients are told that node %d is at %+v, and it is at %s", b.ID, e, nodes[int(b.ID)].Kafka())
		}
	}
	r.stop(nodes)
	nodes, failed = r.start(map[int][]string{1: nil, 2: {join}, 3: {join}})
	for i, err := range failed {
		if err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
	}
	if again := imageOf(t, nodes[3], 3).Cluster; again != id {
		t.Errorf("cluster %s is %s after a restart", id, again)
	}
	r.stop(nodes)
}

// Who is alone may be joined; who joins a cluster of another id, or by a number that is taken, is refused.
func TestAJoinerTakesTheClusterItFinds(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := newTrio(t)
	join := "cluster.join=" + r.mesh[1]
	nodes, failed := r.start(map[int][]string{1: nil, 2: {join}})
	if failed[1] != nil || failed[2] != nil {
		t.Fatal(failed)
	}
	id := imageOf(t, nodes[1], 2).Cluster
	if img := imageOf(t, nodes[2], 2); img.Cluster != id || id == "" {
		t.Errorf("node 2 is of cluster %s, node 1 of %s", img.Cluster, id)
	}
	other, failed := r.start(map[int][]string{3: nil})
	if failed[3] != nil {
		t.Fatal(failed)
	}
	r.stop(other)
	if _, failed = r.start(map[int][]string{3: {join}}); failed[3] == nil || !strings.Contains(failed[3].Error(), "is of cluster "+id+", and this data directory belongs to cluster") {
		t.Errorf("of another cluster: %v", failed[3])
	}
	for _, at := range []int{2, 1} { // at the twin itself, and at another node, which knows it
		r.mesh[2], r.data[2] = "127.0.0.1:0", t.TempDir()
		began := time.Now()
		_, failed = r.start(map[int][]string{2: {"cluster.join=" + nodes[at].mesh.Addr()}})
		if failed[2] == nil || !strings.Contains(failed[2].Error(), "node 2 is alive already") || time.Since(began) > 10*time.Second {
			t.Errorf("a twin that joins at node %d: after %v %v", at, time.Since(began), failed[2])
		}
	}
	if img := imageOf(t, nodes[1], 2); !img.Alive(2) {
		t.Error("a twin has had the node fenced")
	}
	r.stop(nodes)
}

// Who joins without a number is given one that nobody has, and keeps it.
func TestJoinersAreGivenNumbers(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := newTrio(t)
	var joiners []string
	for _, name := range []string{"cluster.join=", "node.id=-1,cluster.join="} {
		joiners = append(joiners, name+r.mesh[1])
	}
	first, failed := r.start(map[int][]string{1: nil})
	if failed[1] != nil {
		t.Fatal(failed[1])
	}
	for range 2 {
		var numbers []message.NodeID
		nodes := r.joinUnnumbered(joiners)
		for _, n := range nodes {
			numbers = append(numbers, n.config.ID)
		}
		imageOf(t, first[1], 3)
		if slices.Sort(numbers); !slices.Equal(numbers, []message.NodeID{2, 3}) {
			t.Errorf("the numbers are %d", numbers)
		}
		for _, n := range nodes {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	r.stop(first)
}

// joinUnnumbered starts places 2 and 3 side by side, which are told nothing but settings.
func (r *trio) joinUnnumbered(settings []string) (nodes [2]*Node) {
	var all sync.WaitGroup
	for i, set := range settings {
		c := configured(r.t, r.data[i+2], append(strings.Split(set, ","), "cluster.listen="+r.mesh[i+2])...)
		all.Go(func() {
			var err error
			if nodes[i], err = Start(c, io.Discard); err != nil {
				r.t.Errorf("%s: %v", set, err)
			}
		})
	}
	all.Wait()
	if r.t.Failed() {
		r.t.FailNow()
	}
	return nodes
}

// A first node that has lost its disk is told nothing of the others, but they look for it.
func TestAFirstNodeThatIsSoughtFoundsNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := newTrio(t)
	join := "cluster.join=" + r.mesh[1]
	nodes, failed := r.start(map[int][]string{1: nil, 2: {join}, 3: {join}})
	if failed[1] != nil || failed[2] != nil || failed[3] != nil {
		t.Fatal(failed)
	}
	imageOf(t, nodes[1], 3)
	for range 500 { // until all vote, so that two can do without the first
		q, _ := ask(nodes[2].stage, message.ControllerAt(2), &message.DescribeQuorum{}, time.Second).(*message.QuorumDescribed)
		if q != nil && len(q.Voters) == 3 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := nodes[1].Close(); err != nil {
		t.Fatal(err)
	}
	r.data[1] = t.TempDir()
	again, failed := r.start(map[int][]string{1: nil})
	if failed[1] == nil || !strings.Contains(failed[1].Error(), "name nodes of that cluster in --join") {
		t.Errorf("it founds anew: %v", failed[1])
		r.stop(again)
	}
	again, failed = r.start(map[int][]string{1: {"cluster.join=" + r.mesh[2]}})
	if failed[1] != nil {
		t.Fatal(failed[1])
	}
	nodes[1] = again[1]
	if is, was := imageOf(t, nodes[1], 3).Cluster, imageOf(t, nodes[2], 3).Cluster; is != was {
		t.Errorf("it is of cluster %s, and the others of %s", is, was)
	}
	r.stop(nodes)
}

func TestSecretsAreAskedFor(t *testing.T) {
	defer goleak.VerifyNone(t)
	c := configured(t, t.TempDir(), "cluster.listen=0.0.0.0:0", "cluster.advertise=127.0.0.1:6222")
	if _, err := Start(c, io.Discard); err == nil || !strings.Contains(err.Error(), "give all nodes the same cluster.secret") {
		t.Errorf("off loopback: %v", err)
	}
	r := newTrio(t)
	var late map[int]*Node
	first := make(chan struct{})
	go func() {
		defer close(first)
		late, _ = r.start(map[int][]string{1: {"bootstrap.expect=2", "cluster.secret=right"}})
	}()
	join := "cluster.join=" + r.mesh[1]
	for range 100 { // until node 1 listens
		if conn, err := net.Dial("tcp", r.mesh[1]); err == nil {
			conn.Close()
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, failed := r.start(map[int][]string{2: {"bootstrap.expect=2", join, "cluster.secret=wrong"}}); failed[2] == nil || !strings.Contains(failed[2].Error(), "another secret") {
		t.Errorf("with a wrong secret: %v", failed[2])
	}
	nodes, failed := r.start(map[int][]string{2: {"bootstrap.expect=2", join, "cluster.secret=right"}})
	<-first
	if failed[2] != nil || late[1] == nil {
		t.Fatalf("with the right secret: %v", failed)
	}
	nodes[1] = late[1]
	r.stop(nodes)
}
