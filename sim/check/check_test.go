package check

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/persistence/record"
)

// scene is a history with one topic of one partition, and batches of two records.
type scene struct {
	t *testing.T
	*History
	topic *Topic
	p     *Partition
	last  map[*Batch]record.Batch
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, History: New(func() time.Duration { return time.Second }), last: map[*Batch]record.Batch{}}
	s.topic = s.NewTopic("topic", 1)
	s.topic.State, s.topic.ID, s.p = Exists, [16]byte{1}, s.topic.Partitions[0]
	return s
}

// batch is one that was sent: of producer 7 if it has a sequence.
func (s *scene) batch(name string, sequence int32) *Batch {
	b := &Batch{Client: name, Partition: s.p, Count: 2, Bytes: 100, Time: 1000, Producer: -1, Epoch: -1, Sequence: -1}
	var to record.Builder
	to.Reset(0)
	to.ProducerID, to.ProducerEpoch, to.BaseSequence = -1, -1, -1
	if sequence >= 0 {
		b.Producer, b.Epoch, b.Sequence = 7, 0, sequence
		to.ProducerID, to.ProducerEpoch, to.BaseSequence = 7, 0, sequence
	}
	to.Add(1000, nil, []byte(name+" first"))
	to.Add(1000, nil, []byte(name+" second"))
	bytes, err := to.Build(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Sent(b, bytes)
	s.last[b] = bytes
	return b
}

// at is a batch's bytes as a broker has them at an offset.
func (s *scene) at(b *Batch, base int64, epoch int32) []byte {
	bytes := append(record.Batch(nil), s.last[b]...)
	bytes.SetBaseOffset(base)
	bytes.SetLeaderEpoch(epoch)
	return bytes
}

func (s *scene) read(offset, high int64, bytes ...[]byte) []Found {
	var all []byte
	for _, b := range bytes {
		all = append(all, b...)
	}
	return s.Read(s.p, s.Floor(s.p), offset, high, all)
}

func (s *scene) marks(high, start int64) { s.Marks(s.p, s.Floor(s.p), high, start) }

func (s *scene) described(topics ...Described) {
	wanted, floors := s.Expect()
	s.Described(wanted, floors, topics)
}

// Each invariant has histories that break it, and says so; what it says is the first that is wrong.
func TestWhatBreaksAnInvariant(t *testing.T) {
	for _, c := range []struct {
		broken *Invariant
		name   string
		happen func(s *scene)
	}{
		{nil, "all is well", func(s *scene) {
			a, b := s.batch("a", 0), s.batch("b", 2)
			s.Acked(a, 0)
			s.Acked(b, 2)
			s.marks(4, 0)
			s.Whole(s.p, 0, 4, s.read(0, 4, s.at(a, 0, 0), s.at(b, 2, 1)), nil, 1000)
			s.AtTime(s.p, s.Floor(s.p), 1000, 0, 1000)
			s.Ends(s.p, s.Floor(s.p), 4)
			s.described(Described{Name: "topic", ID: [16]byte{1}, Epochs: []int32{0}})
		}},
		{AckedIsKept, "another in its place", func(s *scene) {
			s.Acked(s.batch("a", -1), 0)
			s.read(0, 2, s.at(s.batch("b", -1), 0, 0))
		}},
		{AckedIsKept, "gone", func(s *scene) {
			a, b := s.batch("a", -1), s.batch("b", -1)
			s.Acked(a, 0)
			s.Acked(b, 2)
			s.Whole(s.p, 0, 2, s.read(0, 2, s.at(a, 0, 0)), nil, 1000)
		}},
		{ReadIsKept, "gone", func(s *scene) {
			s.read(0, 2, s.at(s.batch("a", -1), 0, 0))
			s.Whole(s.p, 0, 0, nil, nil, 1000)
		}},
		{OneAtAnOffset, "two were read", func(s *scene) {
			s.read(0, 2, s.at(s.batch("a", -1), 0, 0))
			s.read(0, 2, s.at(s.batch("b", -1), 0, 0))
		}},
		{BytesAreKept, "a bit is turned over", func(s *scene) {
			bytes := s.at(s.batch("a", -1), 0, 0)
			bytes[len(bytes)-1] ^= 1
			s.read(0, 2, bytes)
		}},
		{BytesAreKept, "of another partition", func(s *scene) {
			other := s.batch("a", -1)
			other.Partition = &Partition{Topic: s.topic, Index: 1}
			s.read(0, 2, s.at(other, 0, 0))
		}},
		{OncePerSequence, "appended twice", func(s *scene) {
			a := s.batch("a", 0)
			s.Whole(s.p, 0, 4, []Found{{a, 0, 2, 0, nil}, {a, 2, 4, 0, nil}}, nil, 1000)
		}},
		{SequenceOrder, "one is missing", func(s *scene) {
			a, c := s.batch("a", 0), s.batch("c", 4)
			s.Whole(s.p, 0, 4, []Found{{a, 0, 2, 0, nil}, {c, 2, 4, 0, nil}}, nil, 1000)
		}},
		{OffsetsWithout, "a gap in an answer", func(s *scene) {
			s.read(0, 9, s.at(s.batch("a", -1), 0, 0), s.at(s.batch("b", -1), 5, 0))
		}},
		{OffsetsWithout, "another offset was asked for", func(s *scene) { s.read(5, 9, s.at(s.batch("a", -1), 0, 0)) }},
		{OffsetsWithout, "it ends too early", func(s *scene) { s.Whole(s.p, 0, 4, []Found{{s.batch("a", -1), 0, 2, 0, nil}}, nil, 1000) }},
		{MarkNeverFalls, "it falls", func(s *scene) { s.marks(5, 0); s.marks(4, 0) }},
		{ReadBelowMark, "above", func(s *scene) { s.read(0, 1, s.at(s.batch("a", -1), 0, 0)) }},
		{StartNeverFalls, "it falls", func(s *scene) { s.p.Asked(5); s.marks(9, 3); s.marks(9, 2) }},
		{StartBelowMark, "above", func(s *scene) { s.p.Asked(5); s.marks(2, 3) }},
		{DeletedIsGone, "back again", func(s *scene) { s.p.Asked(3); s.Deleted(s.p, 3); s.marks(9, 0) }},
		{OnlyOnPurpose, "nobody asked", func(s *scene) { s.marks(9, 1) }},
		{OnlyOnPurpose, "too much for its size", func(s *scene) {
			s.topic.RetentionBytes = 1000
			s.Whole(s.p, 4, 6, []Found{{s.batch("a", -1), 4, 6, 0, nil}}, nil, 1000)
		}},
		{OnlyOnPurpose, "too young", func(s *scene) {
			s.topic.RetentionMillis = 100
			s.Acked(s.batch("a", -1), 0)
			s.Whole(s.p, 2, 2, nil, nil, 1050)
		}},
		{EpochsRise, "in a log", func(s *scene) {
			s.Whole(s.p, 0, 4, []Found{{s.batch("a", -1), 0, 2, 3, nil}, {s.batch("b", -1), 2, 4, 2, nil}}, nil, 1000)
		}},
		{EpochsRise, "a node leads on in the old one", func(s *scene) {
			s.described(Described{Name: "topic", ID: [16]byte{1}, Epochs: []int32{4}})
			s.Started()
			s.described(Described{Name: "topic", ID: [16]byte{1}, Epochs: []int32{4}})
		}},
		{EpochsAgree, "it ends below what is committed", func(s *scene) { s.marks(9, 0); s.Ends(s.p, s.Floor(s.p), 8) }},
		{TimesAgree, "an earlier one is not older", func(s *scene) {
			s.Acked(s.batch("a", -1), 0)
			s.marks(4, 0)
			s.AtTime(s.p, s.Floor(s.p), 1000, 2, 1000)
		}},
		{TopicIsKept, "gone", func(s *scene) { s.described() }},
		{TopicIsKept, "with fewer partitions", func(s *scene) { s.described(Described{Name: "topic", ID: [16]byte{1}}) }},
		{TopicIsKept, "it was seen", func(s *scene) {
			s.topic.State = Wanted
			s.described(Described{Name: "topic", ID: [16]byte{1}, Epochs: []int32{0}})
			s.described()
		}},
		{TopicIsGone, "back again", func(s *scene) {
			s.topic.State = Ended
			s.described(Described{Name: "topic", ID: [16]byte{1}})
		}},
		{TopicIsGone, "it was not to be seen", func(s *scene) {
			s.topic.State = Unwanted
			s.described()
			s.described(Described{Name: "topic", ID: [16]byte{1}})
		}},
		{IDsAreUnique, "twice", func(s *scene) { s.NewProducer("a", 7); s.NewProducer("b", 7) }},
		{DamageIsNamed, "where nothing was hit", func(s *scene) { s.Damaged(s.p, 2, 4); s.Unreadable(s.p, 4) }},
		{nil, "where something was hit", func(s *scene) {
			a, b := s.batch("a", -1), s.batch("b", -1)
			s.Acked(a, 0)
			s.Acked(b, 2)
			s.Damaged(s.p, 2, 4)
			s.Unreadable(s.p, 3)
			spoiled := s.at(b, 2, 0)
			spoiled[len(spoiled)-1] ^= 1
			s.Whole(s.p, 0, 4, s.read(0, 4, s.at(a, 0, 0), spoiled), map[int64]bool{2: true, 3: true}, 1000)
		}},
		{AckedIsKept, "and what was not hit is gone", func(s *scene) {
			s.Acked(s.batch("a", -1), 0)
			s.Damaged(s.p, 2, 4)
			s.Whole(s.p, 0, 4, nil, map[int64]bool{0: true, 2: true, 3: true}, 1000)
		}},
		{nil, "a backup knows nothing of what came later", func(s *scene) {
			then := s.Remember()
			s.Acked(s.batch("a", -1), 0)
			s.marks(2, 0)
			s.Recall(then)
			s.Whole(s.p, 0, 0, nil, nil, 1000)
			s.marks(0, 0)
		}},
		{AckedIsKept, "a backup has what came before", func(s *scene) {
			s.Acked(s.batch("a", -1), 0)
			then := s.Remember()
			s.Recall(then)
			s.Whole(s.p, 0, 0, nil, nil, 1000)
		}},
		{nil, "what only the page cache had", func(s *scene) {
			s.topic.Fsync = false
			s.Acked(s.batch("a", -1), 0)
			s.PowerLoss()
			s.read(0, 2, s.at(s.batch("b", -1), 0, 0))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			c.happen(s)
			switch v := s.Violation(); {
			case c.broken == nil && v != nil:
				t.Errorf("nothing is wrong, and it says: %v", v)
			case c.broken != nil && (v == nil || v.Invariant != c.broken):
				t.Errorf("it says %v, it should speak of %s", v, c.broken.Name)
			}
		})
	}
}
