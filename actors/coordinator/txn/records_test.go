package txn

import (
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
)

func full() *transaction {
	return &transaction{id: "x", producer: 7, epoch: 3, last: -1, previous: 5, next: 9, timeout: time.Minute, state: prepareCommit,
		parts: []message.NamedPartition{o0, a0, a1}, started: 11, updated: 13, version: 2}
}

// What is written is read again, in both versions, and by others.
func TestRecordsAreReadAgain(t *testing.T) {
	for version := range int16(3) {
		x := full()
		r := x.record(version)
		got, err := readValue(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		got.id = "x"
		if version == 0 { // it has no tags
			x.previous, x.next, x.version = noID, noID, 0
		}
		if !reflect.DeepEqual(got, x) {
			t.Errorf("version %d: %+v", version, got)
		}
		var theirs kmsg.TxnMetadataValue
		if err := theirs.ReadFrom(r.Value); err != nil || theirs.State != kmsg.TransactionStatePrepareCommit || len(theirs.Topics) != 2 {
			t.Errorf("%v: %+v", err, theirs)
		}
	}
	x := &transaction{id: "x", producer: 7, last: -1, previous: noID, next: noID, timeout: time.Second, started: -1}
	got, err := readValue(x.record(2).Value)
	if err != nil || got.parts != nil || got.state != empty {
		t.Errorf("%v: %+v", err, got)
	}
}

// A record that is damaged changes nothing.
func TestDamagedRecordsAreRefused(t *testing.T) {
	r := full().record(2)
	for n := range r.Value {
		if _, err := readValue(r.Value[:n]); err == nil {
			t.Errorf("the first %d bytes are enough", n)
		}
	}
	for n := range r.Key {
		if _, err := readKey(r.Key[:n]); err == nil {
			t.Errorf("the first %d bytes of the key are enough", n)
		}
	}
}

func FuzzReplay(f *testing.F) {
	for version := range int16(2) {
		r := full().record(version)
		f.Add(r.Key, r.Value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		s := New(bounds, place)
		_ = s.Replay(time.Unix(0, 0), brain.Record{Key: key, Value: value})
		s.Loaded(time.Unix(0, 0))
		s.Expire(time.Unix(1<<31, 0))
	})
}
