package txn

import (
	"math"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// scene is a coordinator's brain, the time, and everything that came out. The test plays the partitions and the broker.
type scene struct {
	t       *testing.T
	now     time.Time
	txns    *Transactions
	callers brain.Caller
	log     []brain.Record
	answers map[brain.Caller]any
	asked   []brain.Ask // markers that nobody has answered
	fresh   int64       // the next producer id
	noIDs   bool
}

var (
	bounds = Settings{TimeoutMax: 15 * time.Minute, AbortCheck: 10 * time.Second, Retention: 7 * 24 * time.Hour, RetentionScan: time.Hour}
	topicA = message.TopicID{1}
	topicO = message.TopicID{2}
	place  = brain.Place{Node: 1, Epoch: 5}
	a0     = message.NamedPartition{Topic: "a", Index: 0}
	a1     = message.NamedPartition{Topic: "a", Index: 1}
	o0     = message.NamedPartition{Topic: message.GroupsTopic, Index: 0}
)

func newScene(t *testing.T) *scene {
	s := &scene{t: t, now: time.UnixMilli(1_700_000_000_000), answers: map[brain.Caller]any{}, fresh: 100}
	s.begin()
	return s
}

// begin makes a brain of the log.
func (s *scene) begin() {
	s.txns, s.asked = New(bounds, place), nil
	s.know(2)
	for i, r := range s.log {
		if err := s.txns.Replay(s.now, r); err != nil {
			s.t.Fatalf("record %d: %v", i, err)
		}
	}
	s.took(s.txns.Loaded(s.now))
}

// know shows metadata in which topic a has so many partitions, led by node 2.
func (s *scene) know(partitions int) {
	records := []message.MetadataRecord{&message.FeatureRecord{Name: message.TransactionVersionFeature, Level: 2},
		&message.TopicRecord{Name: message.GroupsTopic, ID: topicO}, led(topicO, 0)}
	if partitions > 0 {
		records = append(records, &message.TopicRecord{Name: "a", ID: topicA})
	}
	for i := range partitions {
		records = append(records, led(topicA, int32(i)))
	}
	img, _, err := image.Empty().Apply(1, records...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.txns.Know(img, setting.Layers{})
}

func led(topic message.TopicID, index int32) *message.PartitionRecord {
	nodes := []message.NodeID{2}
	return &message.PartitionRecord{Partition: message.PartitionID{Topic: topic, Index: index}, Leader: 2, Replicas: nodes, ISR: nodes}
}

func (s *scene) took(out brain.Out) {
	s.log = append(s.log, out.Records...)
	for _, r := range out.Replies {
		if s.answers[r.To] != nil {
			s.t.Fatalf("caller %d is answered twice: %+v, then %+v", r.To, s.answers[r.To], r.Answer)
		}
		s.answers[r.To] = r.Answer
	}
	for _, a := range out.Asks {
		if _, ok := a.Word.(*message.NewProducerID); !ok {
			s.asked = append(s.asked, a)
			continue
		}
		if s.noIDs {
			s.took(s.txns.Heard(s.now, a.Ref, nil))
			continue
		}
		s.fresh++
		s.took(s.txns.Heard(s.now, a.Ref, &message.ProducerID{ID: s.fresh - 1}))
	}
}

// answer is what a question was answered with.
func answer[A any](s *scene, what any) A {
	s.t.Helper()
	s.callers++
	out, known := s.txns.Decide(s.now, s.callers, what)
	if !known {
		s.t.Fatalf("nobody knows %T", what)
	}
	s.took(out)
	a, ok := s.answers[s.callers].(A)
	if !ok {
		s.t.Fatalf("%+v is answered with %+v", what, s.answers[s.callers])
	}
	return a
}

// init asks as a new instance does.
func (s *scene) init() *message.ProducerInitiated {
	s.t.Helper()
	return s.bump(noID, -1)
}

// bump asks as a producer does that has an id.
func (s *scene) bump(producer int64, epoch int16) *message.ProducerInitiated {
	s.t.Helper()
	return answer[*message.ProducerInitiated](s, &message.InitProducer{TransactionalID: "x", Timeout: time.Minute, Producer: producer, Epoch: epoch})
}

func (s *scene) add(producer int64, epoch int16, parts ...message.NamedPartition) *message.Enlisted {
	s.t.Helper()
	return answer[*message.Enlisted](s, &message.Enlist{TransactionalID: "x", Producer: producer, Epoch: epoch, Partitions: parts})
}

func (s *scene) end(producer int64, epoch int16, commit bool, version int16) *message.TransactionEnded {
	s.t.Helper()
	return answer[*message.TransactionEnded](s, &message.EndTransaction{TransactionalID: "x", Producer: producer, Epoch: epoch, Commit: commit, Version: version})
}

// mark answers all markers that are on their way.
func (s *scene) mark(code message.Code) (words []*message.Mark) {
	asked := s.asked
	s.asked = nil
	for _, a := range asked {
		words = append(words, a.Word.(*message.Mark))
		s.took(s.txns.Heard(s.now, a.Ref, &message.Marked{Code: code}))
	}
	return words
}

// pass lets time go by, alarm by alarm.
func (s *scene) pass(d time.Duration) {
	end := s.now.Add(d)
	for due := s.txns.Due(); !due.IsZero() && !due.After(end); due = s.txns.Due() {
		if due.After(s.now) {
			s.now = due
		}
		s.took(s.txns.Expire(s.now))
	}
	s.now = end
}

func (s *scene) described() message.DescribedTransaction {
	return answer[*message.TransactionsDescribed](s, &message.DescribeTransactions{TransactionalIDs: []string{"x"}}).Transactions[0]
}

func (s *scene) expect(state string, producer int64, epoch int16) {
	s.t.Helper()
	if d := s.described(); d.State != state || d.Producer != producer || d.Epoch != epoch {
		s.t.Fatalf("it is %s of producer %d in epoch %d, and not %s of %d in %d", d.State, d.Producer, d.Epoch, state, producer, epoch)
	}
}

// wear uses up all epochs of a producer but the last that it may have.
func (s *scene) wear() {
	s.txns.named["x"].epoch = math.MaxInt16 - 1
	s.txns.write(s.now, s.txns.named["x"])
	s.took(s.txns.take())
}

func code(t *testing.T, got, want message.Code) {
	t.Helper()
	if got != want {
		t.Fatalf("the code is %d, and not %d", got, want)
	}
}
