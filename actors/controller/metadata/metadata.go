// Package metadata is the controller's brain: a request and the image that would be if everything proposed were
// committed go in; records and the answer that may leave once they are committed come out.
//
// It changes nothing itself, has no clock and no chance of its own, and knows neither raft nor disk. What it refuses, it
// refuses with Kafka's codes and, where people or scripts read them, Kafka's words.
package metadata

import (
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/controller/placement"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Brain decides. The zero value of no field is useful but Static's.
type Brain struct {
	Node   message.NodeID // that decides: named in refusals
	Static setting.Values // it was started with: defaults of new topics
	Draw   func() uint64  // a random stream: topic ids, placement
}

// Decision is what the brain wants: records to be committed together, and what is answered then. Without records the
// answer may leave at once.
type Decision struct {
	Records []message.MetadataRecord
	Image   *image.Image // after the records; nil without any
	Change  image.Change // what they touch
	Reply   any
}

// Decide answers any request of the controller that is about metadata, and what the controller finds by itself: Fence, Unfence,
// Drain, Undrain, Balance; ok is false for other words. tip is the image with
// everything proposed so far; the records will stand at index in the metadata log.
func (b *Brain) Decide(tip *image.Image, index int64, ask any) (d Decision, ok bool) {
	t := &turn{Brain: b, draft: tip.Draft(), index: index}
	switch m := ask.(type) {
	case *message.CreateTopics:
		t.reply = t.createTopics(m)
	case *message.DeleteTopics:
		t.reply = t.deleteTopics(m)
	case *message.CreatePartitions:
		t.reply = t.createPartitions(m)
	case *message.AlterConfigs:
		t.reply = t.alterConfigs(m)
	case *message.ElectLeaders:
		t.reply = t.electLeaders(m)
	case *message.UpdateFeatures:
		t.reply = t.updateFeatures(m)
	case *message.AllocateProducerIDs:
		t.reply = t.allocateProducerIDs(m)
	case *message.AssignNode:
		t.reply = t.assignNode()
	case *message.RegisterBroker:
		t.reply = t.registerBroker(m)
	case *message.UnregisterBroker:
		t.reply = &message.Results{Problems: []message.Problem{t.unregister(m)}}
	case *message.BrokerHeartbeat:
		t.reply = t.heartbeat(m)
	case *message.AlterPartition:
		t.reply = t.alterPartition(m)
	case *message.ReassignPartitions:
		t.reply = t.reassignPartitions(m)
	case *Fence:
		t.fence(m.Node, m.Epoch)
	case *Unfence:
		t.unfence(m.Node, m.Epoch)
	case *Drain:
		t.reply = t.drain(m.Node, m.Epoch)
	case *Undrain:
		t.reply = t.undrain(m.Node, m.Epoch)
	case *Balance:
		t.balance()
	default:
		return Decision{}, false
	}
	return t.decision(), true
}

func (t *turn) decision() Decision {
	d := Decision{Records: t.records, Reply: t.reply}
	if len(d.Records) > 0 {
		d.Image, d.Change = t.draft.Done()
	}
	return d
}

// Found is the decision that makes a new cluster: its id and the feature levels of a fresh Kafka (S141).
func (b *Brain) Found(tip *image.Image, index int64) Decision {
	t := &turn{Brain: b, draft: tip.Draft(), index: index}
	id := b.newID()
	t.decide(&message.ClusterRecord{ID: base64.RawURLEncoding.EncodeToString(id[:])})
	for _, f := range message.SupportedFeatures() {
		t.decide(&message.FeatureRecord{Name: f.Name, Level: f.Fresh})
	}
	return t.decision()
}

// turn is one request being decided. The draft holds what the request has decided so far, so that its later items see its
// earlier ones.
type turn struct {
	*Brain
	draft   *image.Draft
	index   int64
	records []message.MetadataRecord
	reply   any
}

func (t *turn) image() *image.Image { return t.draft.Image() }

func (t *turn) layers() setting.Layers { return t.image().Layers(t.Node, t.Static) }

// trial runs a part of a request; what it decided is kept only if it has no problem and keep is true.
func (t *turn) trial(keep bool, part func(t *turn) message.Problem) message.Problem {
	try := &turn{Brain: t.Brain, draft: t.draft, index: t.index}
	p := part(try)
	if p.Code == message.OK && keep {
		t.decide(try.records...)
	}
	return p
}

// note collects records of a trial that are not applied yet.
func (t *turn) note(records ...message.MetadataRecord) { t.records = append(t.records, records...) }

// decide applies records to the draft and keeps them.
func (t *turn) decide(records ...message.MetadataRecord) {
	if err := t.draft.Apply(t.index, records...); err != nil {
		panic(fmt.Sprintf("metadata: decided what cannot be applied: %v", err))
	}
	t.records = append(t.records, records...)
}

// newID draws a random version 4 UUID (RFC 9562). None of the reserved ids has that version.
func (b *Brain) newID() (id message.TopicID) {
	for half := range 2 {
		for i, v := 0, b.Draw(); i < 8; i++ {
			id[8*half+i] = byte(v >> (8 * i))
		}
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

func (t *turn) place(partitions, replication int) ([][]message.NodeID, error) {
	var nodes []placement.Node
	for b := range t.image().Brokers() {
		if !t.cordoned(b.ID) {
			nodes = append(nodes, placement.Node{ID: b.ID, Rack: b.Rack, Fenced: !t.image().Active(b.ID)})
		}
	}
	return placement.Place(nodes, partitions, replication, t.Draw())
}

// newPartition is the record of a partition on these nodes: led by the first that is active, in sync those that are
// active.
func (t *turn) newPartition(id message.PartitionID, replicas []message.NodeID) *message.PartitionRecord {
	r := &message.PartitionRecord{Partition: id, Leader: message.Nobody, Replicas: replicas, ISR: replicas}
	if slices.ContainsFunc(replicas, t.inactive) {
		r.ISR = slices.DeleteFunc(slices.Clone(replicas), t.inactive)
	}
	if len(r.ISR) > 0 {
		r.Leader = r.ISR[0]
	}
	return r
}

func (t *turn) cordoned(n message.NodeID) bool {
	return t.image().Cordoned(n) && !planted.Is(planted.CordonIgnored)
}

func (t *turn) inactive(n message.NodeID) bool { return !t.image().Active(n) }

func refuse(code message.Code, format string, args ...any) message.Problem {
	return message.Problem{Code: code, Message: fmt.Sprintf(format, args...)}
}
