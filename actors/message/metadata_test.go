package message

import (
	"reflect"
	"strings"
	"testing"
)

func everyRecord() []MetadataRecord {
	value := "v"
	id := TopicID{1, 2, 3}
	return []MetadataRecord{
		&ClusterRecord{ID: "abc"},
		&TopicRecord{Name: "T", ID: id, Internal: true},
		&PartitionRecord{Partition: PartitionID{id, 7}, Leader: Nobody, LeaderEpoch: 3, PartitionEpoch: 1 << 30, Replicas: []NodeID{1, 2},
			ISR: []NodeID{2}, ELR: []NodeID{1}, LastKnownELR: []NodeID{4}, Adding: []NodeID{5}, Removing: []NodeID{6, 0}},
		&TopicRemoved{ID: id},
		&ConfigRecord{Resource: Resource{Kind: ResourceGroup, Name: "g"}, Key: "k", Value: &value},
		&ConfigRecord{Resource: Resource{Kind: ResourceBroker}, Key: "k"},
		&BrokerRecord{Node: 3, Epoch: 1 << 40, Incarnation: id, Rack: "r", Fenced: true,
			Endpoints: []Endpoint{{Listener: "PLAINTEXT", Host: "h", Port: 9092, Protocol: "SSL"}, {}}},
		&FenceRecord{Node: 3, Epoch: 9, Fenced: true},
		&DrainRecord{Node: 3, Epoch: 9, Draining: true},
		&DirectoryRecord{Node: 3, Epoch: 9, Directory: id},
		&BrokerRemoved{Node: 3},
		&FeatureRecord{Name: "f", Level: -2, Gone: true},
		&ProducerIDsRecord{Next: 1 << 50},
	}
}

func TestMetadataIsReadAsItWasWritten(t *testing.T) {
	for _, want := range [][]MetadataRecord{nil, everyRecord(), everyRecord()[2:3]} {
		got, err := DecodeMetadata(EncodeMetadata(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("read %+v, %v: want %+v", got, err, want)
		}
	}
}

func TestMetadataOfANewerProgramIsRefusedWithASentence(t *testing.T) {
	b := EncodeMetadata(everyRecord())
	b[0]++
	_, err := DecodeMetadata(b)
	if err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Fatalf("%v", err)
	}
}

// FuzzDecodeMetadata: whatever the bytes, there is an answer, and what is read can be written and read again.
func FuzzDecodeMetadata(f *testing.F) {
	f.Add(EncodeMetadata(nil))
	f.Add(EncodeMetadata(everyRecord()))
	for _, r := range everyRecord() {
		f.Add(EncodeMetadata([]MetadataRecord{r}))
	}
	f.Add([]byte{1, 0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		records, err := DecodeMetadata(b)
		if err != nil {
			return
		}
		again, err := DecodeMetadata(EncodeMetadata(records))
		if err != nil || !reflect.DeepEqual(again, records) {
			t.Fatalf("%+v became %+v, %v", records, again, err)
		}
	})
}
