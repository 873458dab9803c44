package message

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/vmihailenco/msgpack/v5"
)

// An entry of the metadata log is, in msgpack: the format's version, how many records there are (as an array's length), and
// the records. A record is its tag and then its fields in the order of the struct, one after the other.

// metadataFormat is the version this program writes. It reads no other: an older program must not guess what a newer one
// meant.
const metadataFormat = 1

// EncodeMetadata makes the bytes of one entry.
func EncodeMetadata(records []MetadataRecord) []byte {
	var b bytes.Buffer
	e := metadataEncoder{msgpack.NewEncoder(&b)}
	e.int(metadataFormat)
	e.array(len(records))
	for _, r := range records {
		e.int(int64(r.metadataRecord()))
		e.record(r)
	}
	return b.Bytes()
}

// DecodeMetadata reads one entry. It refuses another format, unknown records and bytes left over, each with a sentence.
func DecodeMetadata(b []byte) ([]MetadataRecord, error) {
	r := bytes.NewReader(b)
	d := &metadataDecoder{Decoder: msgpack.NewDecoder(r), left: r}
	if format := d.int(math.MaxInt64); d.err == nil && format != metadataFormat {
		return nil, fmt.Errorf("metadata: the entry has format %d and this program reads only format %d: start the newer program that wrote it", format, metadataFormat)
	}
	var records []MetadataRecord
	n := d.array()
	for i := 0; i < n && d.err == nil; i++ {
		records = append(records, d.record())
	}
	if d.err == nil && r.Len() > 0 {
		d.err = fmt.Errorf("%d bytes are left over", r.Len())
	}
	if d.err != nil {
		return nil, fmt.Errorf("metadata: the entry cannot be read: %w", d.err)
	}
	return records, nil
}

// metadataEncoder writes into memory, where nothing fails.
type metadataEncoder struct{ *msgpack.Encoder }

func (e metadataEncoder) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("metadata: encoding into memory failed: %v", err))
	}
}

func (e metadataEncoder) array(n int)   { e.must(e.EncodeArrayLen(n)) }
func (e metadataEncoder) int(n int64)   { e.must(e.EncodeInt(n)) }
func (e metadataEncoder) bool(v bool)   { e.must(e.EncodeBool(v)) }
func (e metadataEncoder) text(s string) { e.must(e.EncodeString(s)) }
func (e metadataEncoder) id(id TopicID) { e.must(e.EncodeBytes(id[:])) }
func (e metadataEncoder) node(n NodeID) { e.int(int64(n)) }
func (e metadataEncoder) maybe(s *string) {
	if s == nil {
		e.must(e.EncodeNil())
		return
	}
	e.text(*s)
}

func (e metadataEncoder) nodes(list []NodeID) {
	e.array(len(list))
	for _, n := range list {
		e.node(n)
	}
}

func (e metadataEncoder) record(r MetadataRecord) {
	switch r := r.(type) {
	case *ClusterRecord:
		e.text(r.ID)
	case *TopicRecord:
		e.text(r.Name)
		e.id(r.ID)
		e.bool(r.Internal)
	case *PartitionRecord:
		e.partition(r)
	case *TopicRemoved:
		e.id(r.ID)
	case *ConfigRecord:
		e.int(int64(r.Kind))
		e.text(r.Name)
		e.text(r.Key)
		e.maybe(r.Value)
	case *BrokerRecord:
		e.broker(r)
	case *FenceRecord:
		e.node(r.Node)
		e.int(r.Epoch)
		e.bool(r.Fenced)
	case *DrainRecord:
		e.node(r.Node)
		e.int(r.Epoch)
		e.bool(r.Draining)
	case *DirectoryRecord:
		e.node(r.Node)
		e.int(r.Epoch)
		e.id(r.Directory)
	case *BrokerRemoved:
		e.node(r.Node)
	case *FeatureRecord:
		e.text(r.Name)
		e.int(int64(r.Level))
		e.bool(r.Gone)
	case *ProducerIDsRecord:
		e.int(r.Next)
	case *NodeIDsRecord:
		e.node(r.Next)
	default:
		panic(fmt.Sprintf("metadata: no encoding for %T", r))
	}
}

func (e metadataEncoder) partition(r *PartitionRecord) {
	e.id(r.Partition.Topic)
	e.int(int64(r.Partition.Index))
	e.node(r.Leader)
	e.int(int64(r.LeaderEpoch))
	e.int(int64(r.PartitionEpoch))
	for _, list := range [][]NodeID{r.Replicas, r.ISR, r.ELR, r.LastKnownELR, r.Adding, r.Removing} {
		e.nodes(list)
	}
}

func (e metadataEncoder) broker(r *BrokerRecord) {
	e.node(r.Node)
	e.int(r.Epoch)
	e.id(r.Incarnation)
	e.text(r.Rack)
	e.bool(r.Fenced)
	e.array(len(r.Endpoints))
	for _, p := range r.Endpoints {
		e.text(p.Listener)
		e.text(p.Host)
		e.int(int64(p.Port))
		e.text(p.Protocol)
	}
}

// metadataDecoder reads until the first error, which it keeps.
type metadataDecoder struct {
	*msgpack.Decoder
	left *bytes.Reader
	err  error
}

var (
	errLength = errors.New("a length is larger than the entry")
	errRange  = errors.New("a number is out of its range")
	errID     = errors.New("an id has not 16 bytes")
)

func keep[T any](d *metadataDecoder, read func() (T, error)) T {
	var v T
	if d.err == nil {
		v, d.err = read()
	}
	return v
}

// array reads a length. Every element takes at least a byte, so that a length beyond what is left is a lie.
func (d *metadataDecoder) array() int {
	n := keep(d, d.DecodeArrayLen)
	if d.err == nil && (n < 0 || n > d.left.Len()) {
		d.err = errLength
		return 0
	}
	return n
}

// int reads a number from -1-max to max.
func (d *metadataDecoder) int(most int64) int64 {
	n := keep(d, d.DecodeInt64)
	if d.err == nil && (n > most || n < -1-most) {
		d.err = errRange
	}
	return n
}

func (d *metadataDecoder) bool() bool   { return keep(d, d.DecodeBool) }
func (d *metadataDecoder) node() NodeID { return NodeID(d.int(math.MaxInt32)) }
func (d *metadataDecoder) text() string { return keep(d, d.DecodeString) }

func (d *metadataDecoder) id() (id TopicID) {
	b := keep(d, d.DecodeBytes)
	if d.err == nil && len(b) != len(id) {
		d.err = errID
	}
	copy(id[:], b)
	return id
}

func (d *metadataDecoder) maybe() *string {
	const null = 0xc0
	if code := keep(d, d.PeekCode); d.err == nil && code == null {
		d.err = d.DecodeNil()
		return nil
	}
	s := d.text()
	return &s
}

func (d *metadataDecoder) nodes() []NodeID {
	n := d.array()
	if n == 0 {
		return nil
	}
	list := make([]NodeID, n)
	for i := range list {
		list[i] = d.node()
	}
	return list
}

func (d *metadataDecoder) record() MetadataRecord {
	switch tag := recordTag(d.int(math.MaxUint8)); tag {
	case tagCluster:
		return &ClusterRecord{ID: d.text()}
	case tagTopic:
		return &TopicRecord{Name: d.text(), ID: d.id(), Internal: d.bool()}
	case tagPartition:
		return d.partition()
	case tagTopicRemoved:
		return &TopicRemoved{ID: d.id()}
	case tagConfig:
		return &ConfigRecord{Resource: Resource{Kind: ResourceKind(d.int(math.MaxInt8)), Name: d.text()}, Key: d.text(), Value: d.maybe()}
	case tagBroker:
		return d.broker()
	case tagFence:
		return &FenceRecord{Node: d.node(), Epoch: d.int(math.MaxInt64), Fenced: d.bool()}
	case tagDrain:
		return &DrainRecord{Node: d.node(), Epoch: d.int(math.MaxInt64), Draining: d.bool()}
	case tagDirectory:
		return &DirectoryRecord{Node: d.node(), Epoch: d.int(math.MaxInt64), Directory: d.id()}
	case tagBrokerRemoved:
		return &BrokerRemoved{Node: d.node()}
	case tagFeature:
		return &FeatureRecord{Name: d.text(), Level: int16(d.int(math.MaxInt16)), Gone: d.bool()}
	case tagProducerIDs:
		return &ProducerIDsRecord{Next: d.int(math.MaxInt64)}
	case tagNodeIDs:
		return &NodeIDsRecord{Next: d.node()}
	default:
		if d.err == nil {
			d.err = fmt.Errorf("it holds a record of the unknown kind %d", tag)
		}
		return nil
	}
}

func (d *metadataDecoder) partition() *PartitionRecord {
	r := &PartitionRecord{Partition: PartitionID{Topic: d.id(), Index: int32(d.int(math.MaxInt32))}}
	r.Leader = d.node()
	r.LeaderEpoch = int32(d.int(math.MaxInt32))
	r.PartitionEpoch = int32(d.int(math.MaxInt32))
	for _, list := range []*[]NodeID{&r.Replicas, &r.ISR, &r.ELR, &r.LastKnownELR, &r.Adding, &r.Removing} {
		*list = d.nodes()
	}
	return r
}

func (d *metadataDecoder) broker() *BrokerRecord {
	r := &BrokerRecord{Node: d.node(), Epoch: d.int(math.MaxInt64), Incarnation: d.id(), Rack: d.text(), Fenced: d.bool()}
	n := d.array()
	for i := 0; i < n && d.err == nil; i++ {
		r.Endpoints = append(r.Endpoints, Endpoint{Listener: d.text(), Host: d.text(), Port: int32(d.int(math.MaxInt32)), Protocol: d.text()})
	}
	return r
}
