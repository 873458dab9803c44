package image

import "github.com/troupe-broker/troupe/actors/message"

// Records are the image as records: applied to Empty they make an equal one. It is how snapshots are written; what they
// are applied at is the image's index.
func (i *Image) Records() []message.MetadataRecord {
	records := make([]message.MetadataRecord, 0, 8+i.brokers.Len()+i.removed.Len()+i.configs.Len()+i.topics.Len()+i.partitions)
	if i.Cluster != "" {
		records = append(records, &message.ClusterRecord{ID: i.Cluster})
	}
	for _, f := range i.Features() {
		records = append(records, &message.FeatureRecord{Name: f.Name, Level: f.Level})
	}
	for b := range i.Brokers() {
		records = append(records, &message.BrokerRecord{Node: b.ID, Epoch: b.Epoch, Incarnation: b.Incarnation,
			Rack: b.Rack, Fenced: b.Fenced, Endpoints: b.Endpoints})
		if !b.Directory.IsZero() {
			records = append(records, &message.DirectoryRecord{Node: b.ID, Epoch: b.Epoch, Directory: b.Directory})
		}
		if b.Draining {
			records = append(records, &message.DrainRecord{Node: b.ID, Epoch: b.Epoch, Draining: true})
		}
	}
	for t := range i.Topics() {
		records = t.records(records)
	}
	records = i.configRecords(records)
	for id := range i.Removed() {
		records = append(records, &message.TopicRemoved{ID: id})
	}
	if i.nextProducerID != 0 {
		records = append(records, &message.ProducerIDsRecord{Next: i.nextProducerID})
	}
	if i.nextNode != 0 {
		records = append(records, &message.NodeIDsRecord{Next: i.nextNode})
	}
	return records
}

func (t *Topic) records(to []message.MetadataRecord) []message.MetadataRecord {
	to = append(to, &message.TopicRecord{Name: t.Name, ID: t.ID, Internal: t.Internal})
	for n := range t.Partitions {
		to = append(to, t.Partitions[n].Record(t.At(int32(n))))
	}
	return to
}

// Record is the partition as a record.
func (p *Partition) Record(id message.PartitionID) *message.PartitionRecord {
	return &message.PartitionRecord{
		Partition: id, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
		Replicas: p.Replicas, ISR: p.ISR, ELR: p.ELR, LastKnownELR: p.LastKnownELR, Adding: p.Adding, Removing: p.Removing,
	}
}

func (i *Image) configRecords(to []message.MetadataRecord) []message.MetadataRecord {
	i.configs.Scan(func(key string, o Overrides) bool {
		resource := message.Resource{Kind: message.ResourceKind(key[0]), Name: key[1:]}
		for name, value := range o.All() {
			to = append(to, &message.ConfigRecord{Resource: resource, Key: name, Value: &value})
		}
		return true
	})
	return to
}
