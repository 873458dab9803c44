package workload

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/sim/check"
)

// A chain is a source that writes numbers into one topic in transactions, links that copy them to another, each with how far it has read,
// and a reader of both (check.Chain):
//
//	source ─▶ NAME-in ─▶ link of each partition, and its zombie ─▶ NAME-out
//	              └────────────────▶ reader ◀──────────────────────┘
//
// Who cannot go on, or does not know what became of its transaction, begins anew: InitProducerId aborts what it has left, and fences
// whoever has its transactional id beside it.

// pipe is one partition of one of a chain's topics.
type pipe struct {
	topic string
	index int32
}

// piped is a client that knows who leads a chain's topics, and who coordinates what.
type piped struct {
	link
	spec         Spec
	chain        *check.Chain
	leaders      map[pipe]message.NodeID
	coordinators map[string]message.NodeID
	round        int // what belongs to an earlier one is not heeded
	healing      bool
	begin        func()
	copies       int // that a topic is made with
}

func newPiped(w World, h *check.History, s Spec) piped {
	return piped{link: newLink(w, h, s.Name), spec: s, chain: h.Chain(s.Group, len(s.Lanes)), leaders: map[pipe]message.NodeID{}, coordinators: map[string]message.NodeID{}, copies: max(s.Copies, 1)}
}

func (p *piped) in(i int) pipe  { return pipe{p.chain.Name + "-in", int32(i)} }
func (p *piped) out(i int) pipe { return pipe{p.chain.Name + "-out", int32(i)} }

func (p *piped) patience() time.Duration {
	return time.Duration(p.spec.PatienceMillis) * time.Millisecond
}

// Heal is part of Client.
func (p *piped) Heal() { p.healing = true }

// at is the way to a node.
func (p *piped) at(n message.NodeID) *link {
	if p.alone() {
		return &p.link
	}
	return p.via(n)
}

// again begins anew in a while.
func (p *piped) again() {
	p.round++
	clear(p.leaders)
	clear(p.coordinators)
	p.rest(50, p.begin)
}

// rest does something in a while, unless it begins anew by then.
func (p *piped) rest(meanMillis int, then func()) {
	round := p.round
	p.later(p.pace(meanMillis), func() {
		if round == p.round {
			then()
		}
	})
}

// ask asks; who is not answered begins anew.
func ask[R kmsg.Response](p *piped, to *link, req kmsg.Request, then func(r R)) {
	askFor(p, to, req, p.patience(), then)
}

// askFor is ask for an answer that may take so long.
func askFor[R kmsg.Response](p *piped, to *link, req kmsg.Request, d time.Duration, then func(r R)) {
	round := p.round
	to.call(req, d, func(r kmsg.Response, err error) {
		switch {
		case round != p.round:
		case err != nil:
			p.again()
		default:
			then(r.(R))
		}
	})
}

// locate finds who leads the topics, which it makes if they are not there, and who coordinates what.
func (p *piped) locate(keys map[string]int8, then func()) {
	ask(p, p.any(), metadataRequest(), func(r *kmsg.MetadataResponse) {
		for _, t := range r.Topics {
			for _, one := range t.Partitions {
				if t.Topic != nil && one.Leader >= 0 {
					p.leaders[pipe{*t.Topic, one.Partition}] = message.NodeID(one.Leader)
				}
			}
		}
		for i := range p.chain.Partitions {
			if p.leaders[p.in(i)] == 0 || p.leaders[p.out(i)] == 0 {
				p.make()
				return
			}
		}
		p.coordinate(keys, then)
	})
}

// make makes both topics; who comes second finds them.
func (p *piped) make() {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 5, int32(p.spec.PatienceMillis)
	for _, name := range []string{p.in(0).topic, p.out(0).topic} {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, int32(p.chain.Partitions), int16(p.copies)
		insync := "1"
		if p.copies > 2 {
			insync = "2"
		}
		for _, c := range [][2]string{{"min.insync.replicas", insync}, {"retention.ms", "-1"}, {"retention.bytes", "-1"}, {"cleanup.policy", "delete"},
			{"durability", "fsync"}, {"unclean.leader.election.enable", "false"}, {"segment.bytes", "4096"}} {
			t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: c[0], Value: &c[1]})
		}
		req.Topics = append(req.Topics, t)
	}
	ask(p, p.any(), req, func(r *kmsg.CreateTopicsResponse) {
		few := false
		for _, t := range r.Topics {
			if t.ErrorCode != 0 && message.Code(t.ErrorCode) != message.TopicAlreadyExists {
				p.world.Note("%s cannot make %s: code %d", p.name, t.Topic, t.ErrorCode)
			}
			few = few || message.Code(t.ErrorCode) == message.InvalidReplicationFactor
		}
		if few { // a node is drained
			p.copies = max(p.copies-1, 1)
		}
		p.again()
	})
}

// coordinate finds who coordinates each of the keys, which have kinds.
func (p *piped) coordinate(keys map[string]int8, then func()) {
	for _, key := range sorted(keys) {
		if p.coordinators[key] != 0 {
			continue
		}
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.Version, req.CoordinatorKey, req.CoordinatorType = 3, key, keys[key]
		ask(p, p.any(), req, func(r *kmsg.FindCoordinatorResponse) {
			if r.ErrorCode != 0 {
				p.again()
				return
			}
			p.coordinators[key] = message.NodeID(r.NodeID)
			p.coordinate(keys, then)
		})
		return
	}
	then()
}

// fetched is what a reader of committed records finds.
type fetched struct {
	numbers []int64
	next    int64
	end     bool // there is nothing behind it, committed or not
}

// read reads what is committed of a partition from an offset on.
func (p *piped) read(of pipe, from int64, then func(f fetched)) {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel, req.SessionEpoch = 11, 20, 1, int32(p.spec.MaxBytes), 1, -1
	if !p.alone() {
		req.MaxWaitMillis = 0
	}
	t, one := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	t.Topic, one.Partition, one.FetchOffset, one.PartitionMaxBytes = of.topic, of.index, from, int32(p.spec.MaxBytes)
	t.Partitions = append(t.Partitions, one)
	req.Topics = append(req.Topics, t)
	ask(p, p.at(p.leaders[of]), req, func(r *kmsg.FetchResponse) {
		if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 || r.Topics[0].Partitions[0].ErrorCode != 0 {
			p.again()
			return
		}
		then(committed(&r.Topics[0].Partitions[0], from))
	})
}

// committed takes out of an answer what a reader of committed records is to see, as consumers do: what the broker names as aborted is
// left out from where it begins up to its marker.
func committed(a *kmsg.FetchResponseTopicPartition, from int64) fetched {
	f := fetched{next: from}
	aborted, at := map[int64]bool{}, 0
	slices.SortFunc(a.AbortedTransactions, func(x, y kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(x.FirstOffset, y.FirstOffset) // they come in the order of their markers
	})
	for bytes := a.RecordBatches; len(bytes) > record.HeaderSize; {
		b := record.Batch(bytes)
		if b.Size() > len(bytes) {
			break
		}
		b = b[:b.Size()]
		bytes = bytes[len(b):]
		for ; at < len(a.AbortedTransactions) && a.AbortedTransactions[at].FirstOffset < b.NextOffset(); at++ {
			aborted[a.AbortedTransactions[at].ProducerID] = true
		}
		f.next = max(f.next, b.NextOffset())
		switch {
		case b.Attributes().Has(record.Control):
			delete(aborted, b.ProducerID())
		case b.Attributes().Has(record.Transactional) && aborted[b.ProducerID()]:
		default:
			f.numbers = append(f.numbers, numbersOf(b, from)...)
		}
	}
	f.end = f.next >= a.HighWatermark
	return f
}

func numbersOf(b record.Batch, from int64) (numbers []int64) {
	for r, err := range record.All(b, 1<<20) {
		if err != nil || len(r.Value) != 8 {
			return append(numbers, -1)
		}
		if b.BaseOffset()+int64(r.OffsetDelta) >= from {
			numbers = append(numbers, int64(binary.BigEndian.Uint64(r.Value)))
		}
	}
	return numbers
}

// transactor is one that has a transactional id.
type transactor struct {
	piped
	id        string
	producer  int64
	epoch     int16
	sequences map[pipe]int32
}

// modern says that it speaks version 2 of transactions.
func (t *transactor) modern() bool { return t.spec.Version >= 2 }

func (t *transactor) coordinator() *link { return t.at(t.coordinators[t.id]) }

// init gets the id's next epoch.
func (t *transactor) init(then func()) {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.TransactionalID, req.TransactionTimeoutMillis = 4, &t.id, int32(t.spec.WaitMillis)
	ask(&t.piped, t.coordinator(), req, func(r *kmsg.InitProducerIDResponse) {
		switch message.Code(r.ErrorCode) {
		case message.OK:
			t.became(r.ProducerID, r.ProducerEpoch)
			then()
		case message.ConcurrentTransactions:
			t.rest(20, func() { t.init(then) })
		default:
			t.again()
		}
	})
}

func (t *transactor) became(producer int64, epoch int16) {
	t.producer, t.epoch, t.sequences = producer, epoch, map[pipe]int32{}
}

// add takes partitions into the transaction; in version 2 they do that themselves.
func (t *transactor) add(of []pipe, then func()) {
	if t.modern() {
		then()
		return
	}
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch = 3, t.id, t.producer, t.epoch
	for _, p := range of {
		req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: p.topic, Partitions: []int32{p.index}})
	}
	ask(&t.piped, t.coordinator(), req, func(r *kmsg.AddPartitionsToTxnResponse) {
		code := message.OK
		for _, topic := range r.Topics {
			for _, p := range topic.Partitions {
				code = worst(code, p.ErrorCode)
			}
		}
		t.proceed(code, func() { t.add(of, then) }, then)
	})
}

func worst(code message.Code, other int16) message.Code {
	if code != message.OK {
		return code
	}
	return message.Code(other)
}

// proceed goes on, comes again while the last transaction ends, or begins anew.
func (t *transactor) proceed(code message.Code, again, then func()) {
	switch code {
	case message.OK:
		then()
	case message.ConcurrentTransactions:
		t.rest(10, again)
	default:
		t.again()
	}
}

// write produces numbers to a partition.
func (t *transactor) write(to pipe, numbers []int64, then func()) {
	b := record.NewBuilder(0)
	b.Flags, b.ProducerID, b.ProducerEpoch, b.BaseSequence = record.Transactional, t.producer, t.epoch, t.sequences[to]
	for _, n := range numbers {
		b.Add(t.world.Millis(), nil, binary.BigEndian.AppendUint64(nil, uint64(n)))
	}
	batch, err := b.Build(nil)
	if err != nil {
		panic("workload: " + err.Error())
	}
	t.sequences[to] += int32(len(numbers))
	t.produce(to, batch, then)
}

func (t *transactor) produce(to pipe, batch record.Batch, then func()) {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis, req.TransactionID = 11, -1, int32(t.spec.PatienceMillis), &t.id
	if t.modern() {
		req.Version = 12
	}
	topic, one := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	topic.Topic, one.Partition, one.Records = to.topic, to.index, batch
	topic.Partitions = append(topic.Partitions, one)
	req.Topics = append(req.Topics, topic)
	ask(&t.piped, t.at(t.leaders[to]), req, func(r *kmsg.ProduceResponse) {
		code := message.UnknownServerError
		if len(r.Topics) == 1 && len(r.Topics[0].Partitions) == 1 {
			code = message.Code(r.Topics[0].Partitions[0].ErrorCode)
		}
		t.proceed(code, func() { t.produce(to, batch, then) }, then)
	})
}

// end commits or aborts.
func (t *transactor) end(commit bool, then func()) {
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = 4, t.id, t.producer, t.epoch, commit
	if t.modern() {
		req.Version = 5
	}
	ask(&t.piped, t.coordinator(), req, func(r *kmsg.EndTxnResponse) {
		t.proceed(message.Code(r.ErrorCode), func() { t.end(commit, then) }, func() {
			if t.modern() {
				t.became(r.ProducerID, r.ProducerEpoch)
			}
			then()
		})
	})
}
