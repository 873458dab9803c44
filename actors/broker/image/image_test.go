package image

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/actors/message"
)

// draws makes entries that fit the image they are applied to.
type draws struct {
	t    *rapid.T
	next byte
}

func (d *draws) entry(i *Image) []message.MetadataRecord {
	topics := slices.Collect(i.Topics())
	kind := rapid.IntRange(0, 8).Draw(d.t, "kind")
	if len(topics) == 0 && (kind == 1 || kind == 2 || kind == 3) {
		kind = 0
	}
	node := message.NodeID(rapid.IntRange(1, 3).Draw(d.t, "node"))
	switch kind {
	case 0:
		d.next++
		id := message.TopicID{d.next, 1}
		name := fmt.Sprintf("t%c%d", "._-"[d.next%3], d.next)
		return []message.MetadataRecord{&message.TopicRecord{Name: name, ID: id, Internal: d.next%2 == 0}, partition(id, 0, node)}
	case 1:
		return []message.MetadataRecord{&message.TopicRemoved{ID: rapid.SampledFrom(topics).Draw(d.t, "topic").ID}}
	case 2:
		t := rapid.SampledFrom(topics).Draw(d.t, "topic")
		return []message.MetadataRecord{partition(t.ID, rapid.IntRange(0, len(t.Partitions)).Draw(d.t, "index"), node)}
	case 3:
		r := message.Resource{Kind: message.ResourceTopic, Name: rapid.SampledFrom(topics).Draw(d.t, "topic").Name}
		return []message.MetadataRecord{&message.ConfigRecord{Resource: r, Key: "k", Value: rapid.Ptr(rapid.String(), true).Draw(d.t, "value")}}
	case 4:
		return []message.MetadataRecord{&message.BrokerRecord{Node: node, Epoch: i.Index + 1, Incarnation: message.TopicID{rapid.Byte().Draw(d.t, "incarnation")}}}
	case 5:
		return []message.MetadataRecord{&message.FeatureRecord{Name: "f", Level: 1, Gone: rapid.Bool().Draw(d.t, "gone")}}
	case 6:
		return []message.MetadataRecord{&message.ProducerIDsRecord{Next: i.NextProducerID() + 1000}, &message.NodeIDsRecord{Next: i.NextNode() + 1}}
	}
	if b := i.Broker(node); b != nil && kind == 7 {
		yes := rapid.Bool().Draw(d.t, "yes")
		return []message.MetadataRecord{&message.FenceRecord{Node: node, Epoch: b.Epoch, Fenced: yes}, &message.DrainRecord{Node: node, Epoch: b.Epoch, Draining: !yes}}
	}
	r := message.Resource{Kind: message.ResourceBroker}
	return []message.MetadataRecord{&message.ConfigRecord{Resource: r, Key: "k", Value: rapid.Ptr(rapid.String(), true).Draw(d.t, "value")}}
}

func partition(id message.TopicID, index int, node message.NodeID) *message.PartitionRecord {
	return &message.PartitionRecord{Partition: message.PartitionID{Topic: id, Index: int32(index)}, Leader: node, Replicas: []message.NodeID{node}}
}

// TestSnapshotAndTailAreTheLog: an image rebuilt from a snapshot at any entry and the entries behind it equals the one that
// applied them all, one by one or at once; and no image changes when another is made from it.
func TestSnapshotAndTailAreTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &draws{t: t}
		at := Empty()
		var log [][]message.MetadataRecord
		var pictures [][]message.MetadataRecord
		images := []*Image{at}
		for range rapid.IntRange(1, 20).Draw(t, "entries") {
			entry := d.entry(at)
			next, _, err := at.Apply(at.Index+1, entry...)
			if err != nil {
				t.Fatal(err)
			}
			log, pictures, images = append(log, entry), append(pictures, at.Records()), append(images, next)
			at = next
		}
		cut := rapid.IntRange(0, len(log)-1).Draw(t, "snapshot")
		records, err := message.DecodeMetadata(message.EncodeMetadata(images[cut].Records()))
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := Empty().Apply(int64(cut), records...)
		if err != nil {
			t.Fatal(err)
		}
		draft := again.Draft()
		for i, entry := range log[cut:] {
			if err := draft.Apply(int64(cut+i+1), entry...); err != nil {
				t.Fatal(err)
			}
		}
		again, _ = draft.Done()
		same(t, "rebuilt", again.Records(), at.Records())
		if again.Index != at.Index || again.TopicCount() != at.TopicCount() || again.PartitionCount() != at.PartitionCount() {
			t.Fatalf("rebuilt: %d topics and %d partitions at %d", again.TopicCount(), again.PartitionCount(), again.Index)
		}
		for i, picture := range pictures {
			same(t, fmt.Sprint("image ", i, " afterwards"), images[i].Records(), picture)
		}
	})
}

func same(t *rapid.T, what string, got, want []message.MetadataRecord) {
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n%+v\nwant\n%+v", what, show(got), show(want))
	}
}

func show(records []message.MetadataRecord) (s string) {
	for _, r := range records {
		s += fmt.Sprintf("%T%+v\n", r, r)
	}
	return s
}

// TestAChangeNamesWhatItTouched: whatever differs between two images is in the change.
func TestAChangeNamesWhatItTouched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &draws{t: t}
		at := Empty()
		for range rapid.IntRange(1, 15).Draw(t, "entries") {
			next, change, err := at.Apply(at.Index+1, d.entry(at)...)
			if err != nil {
				t.Fatal(err)
			}
			for topic := range next.Topics() {
				if at.TopicByID(topic.ID) != topic && !slices.Contains(change.Topics, topic.ID) {
					t.Fatalf("topic %s is another and not mentioned in %+v", topic.Name, change)
				}
			}
			for topic := range at.Topics() {
				gone := slices.ContainsFunc(change.Removed, func(r *Topic) bool { return r.ID == topic.ID })
				if gone != (next.TopicByID(topic.ID) == nil) {
					t.Fatalf("topic %s: removed is %t in %+v", topic.Name, gone, change)
				}
			}
			at = next
		}
	})
}

func TestNamesThatCollideAreFound(t *testing.T) {
	i, _, err := Empty().Apply(1, &message.TopicRecord{Name: "a.b", ID: message.TopicID{1}}, &message.TopicRecord{Name: "c", ID: message.TopicID{2}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"a_b": true, "a.b": false, "a-b": false, "c": false} {
		if _, yes := i.Collides(name); yes != want {
			t.Errorf("%s collides: %t", name, yes)
		}
	}
	i, _, _ = i.Apply(2, &message.TopicRemoved{ID: message.TopicID{1}})
	if _, yes := i.Collides("a_b"); yes {
		t.Error("a_b collides with a topic that is gone")
	}
}

// TestARestartedLeaderLeadsInANewEpoch quotes S51: "bump leader epoch on every leadership/unclean restart change".
func TestARestartedLeaderLeadsInANewEpoch(t *testing.T) {
	id := message.TopicID{1}
	i, _, err := Empty().Apply(1, &message.BrokerRecord{Node: 1, Incarnation: message.TopicID{1}}, &message.TopicRecord{Name: "T", ID: id},
		partition(id, 0, 1), partition(id, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	again, change, _ := i.Apply(2, &message.BrokerRecord{Node: 1, Epoch: 2, Incarnation: message.TopicID{2}})
	topic := again.Topic("T")
	if topic.Partitions[0].LeaderEpoch != 1 || topic.Partitions[1].LeaderEpoch != 0 || !slices.Equal(change.Topics, []message.TopicID{id}) {
		t.Fatalf("%+v, %+v", topic, change)
	}
	same, change, _ := again.Apply(3, &message.BrokerRecord{Node: 1, Epoch: 3, Incarnation: message.TopicID{2}})
	if same.Topic("T") != topic || len(change.Topics) != 0 {
		t.Fatalf("the same incarnation changed %+v", change)
	}
}

// TestARestartedFollowerIsAnotherForItsLeader: what a leader proposes in the belief that a follower is as far as it was is void
// (KIP-903): the partition epoch has risen, and only that.
func TestARestartedFollowerIsAnotherForItsLeader(t *testing.T) {
	id := message.TopicID{1}
	both := &message.PartitionRecord{Partition: message.PartitionID{Topic: id}, Leader: 1, Replicas: []message.NodeID{1, 2}, ISR: []message.NodeID{1}}
	i, _, err := Empty().Apply(1, &message.BrokerRecord{Node: 2, Incarnation: message.TopicID{1}}, &message.TopicRecord{Name: "T", ID: id}, both)
	if err != nil {
		t.Fatal(err)
	}
	i, _, _ = i.Apply(2, &message.BrokerRecord{Node: 2, Incarnation: message.TopicID{2}})
	if p := i.Topic("T").Partition(0); p.LeaderEpoch != 0 || p.PartitionEpoch != 1 {
		t.Fatalf("restarted: %+v", p)
	}
	i, _, _ = i.Apply(3, &message.BrokerRemoved{Node: 2}, &message.BrokerRecord{Node: 2, Incarnation: message.TopicID{2}})
	if p := i.Topic("T").Partition(0); p.LeaderEpoch != 0 || p.PartitionEpoch != 2 {
		t.Fatalf("removed and registered again: %+v", p)
	}
}

// TestWhoMayLead: who is alive, in sync or eligible, and not about to go.
func TestWhoMayLead(t *testing.T) {
	id := message.TopicID{1}
	p := &message.PartitionRecord{Partition: message.PartitionID{Topic: id}, Leader: 1, Replicas: []message.NodeID{1, 2, 3, 4, 5},
		ISR: []message.NodeID{1, 2, 3}, ELR: []message.NodeID{4}}
	records := []message.MetadataRecord{&message.TopicRecord{Name: "T", ID: id}, p}
	for n := range message.NodeID(5) {
		records = append(records, &message.BrokerRecord{Node: n + 1, Fenced: n+1 == 2})
	}
	i, _, err := Empty().Apply(1, append(records, &message.DrainRecord{Node: 3, Draining: true})...)
	if err != nil {
		t.Fatal(err)
	}
	var live, may []message.NodeID
	for b := range i.LiveBrokers() {
		live = append(live, b.ID)
	}
	for n := range message.NodeID(7) {
		if i.Eligible(i.Topic("T").Partition(0), n) {
			may = append(may, n)
		}
	}
	if !slices.Equal(live, []message.NodeID{1, 3, 4, 5}) || !slices.Equal(may, []message.NodeID{1, 4}) {
		t.Fatalf("%v live, %v may lead", live, may)
	}
}

// TestManyTopicsOneByOne: what one more topic costs must not depend on how many there are.
func TestManyTopicsOneByOne(t *testing.T) {
	begin := time.Now()
	i := Empty()
	for n := range 20_000 {
		id := message.TopicID{byte(n >> 8), byte(n), 1}
		var err error
		if i, _, err = i.Apply(int64(n+1), &message.TopicRecord{Name: fmt.Sprint("topic-", n), ID: id}, partition(id, 0, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if i.PartitionCount() != 20_000 {
		t.Fatal(i.PartitionCount())
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Fatalf("20,000 topics one by one took %s", took)
	}
}

func TestLookingUpAllocatesNothing(t *testing.T) {
	id := message.TopicID{1}
	i, _, _ := Empty().Apply(1, &message.TopicRecord{Name: "T", ID: id}, partition(id, 0, 1))
	if n := testing.AllocsPerRun(100, func() { i.Topic("T"); i.TopicByID(id); i.Partition(message.PartitionID{Topic: id}) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
