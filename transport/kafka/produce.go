package kafka

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/record"
)

const produceKey = 0

// Produce appends record batches. Versions 0 to 2 (message formats 0 and 1) are advertised (S3) and refused. v7 allows zstd
// (KIP-110), v8 says which record is at fault (KIP-467), v9 is flexible, v10 names the leader (KIP-951), v11 knows TransactionAbortable, v12 is
// transaction version 2 (KIP-890), v13 names topics by id (KIP-516).
var produceAPI = api{key: produceKey, min: 3, max: 13, shape: "s 2 4 ( s@0-12 16@13+ ( 4 b ) )", start: onProduce}

// abortableSince is the version from which on clients know TransactionAbortable (KIP-890).
const abortableSince = 11

// produceGrace is how much longer than the client's own timeout a partition may take before we answer for it.
const produceGrace = 250 * time.Millisecond

// produce is a Produce request whose appends are under way.
//
//	decode ─▶ check each batch ─▶ (rework, offloaded) ─▶ Ask the partitions ─▶ gather ─▶ answer
type produce struct {
	r        *Request
	acks     int16
	patience time.Duration
	v2       bool   // the client speaks transaction version 2 (KIP-890)
	txnID    string // of who produces in transactions
	named    bool   // there is one
	topics   []producedTopic
	parts    []producedPart
	appends  []message.Append
	trace    message.Trace
	traced   func(at time.Time)

	reworking int // batches that are being looked into or recompressed
	waiting   int // partitions that have not answered
}

// producedTopic is a topic of the request and how many of the parts belong to it.
type producedTopic struct {
	name  []byte // in the frame; up to version 12
	id    message.TopicID
	topic *image.Topic
	code  message.Code
	parts int
}

// producedPart is one partition's batch and then its fate.
type producedPart struct {
	index   int32
	records []byte
	to      message.PartitionID
	result  message.Appended
}

func onProduce(c stage.Context, r *Request) {
	p := readProduce(r)
	if tracer := r.conn.opts.Tracer; tracer != nil {
		p.trace, p.traced = tracer.Begin("Produce", c.Now())
	}
	r.conn.unsettled++
	p.begin(c)
}

// readProduce reads a request. Names and records stay in the frame.
func readProduce(r *Request) *produce {
	d := reader{r.Body, r.flexible()}
	p := &produce{r: r, v2: r.Version >= 12}
	id := d.text()
	p.txnID, p.named = string(id), id != nil
	p.acks = d.int16()
	p.patience = time.Duration(max(d.int32(), 0))*time.Millisecond + produceGrace
	for n := d.length(); n > 0; n-- {
		p.topics = append(p.topics, p.readTopic(&d))
		d.tags()
	}
	p.appends = make([]message.Append, len(p.parts))
	return p
}

func (p *produce) readTopic(d *reader) (t producedTopic) {
	byID := p.r.Version >= 13
	if byID {
		t.id = d.id()
	} else {
		t.name = d.text()
	}
	t.topic, t.code = findTopic(p.r.Image, string(t.name), t.id, byID)
	t.parts = max(d.length(), 0)
	p.parts = slices.Grow(p.parts, t.parts)
	for range t.parts {
		p.parts = append(p.parts, producedPart{index: d.int32(), records: d.bytes()})
		d.tags()
	}
	return t
}

// begin checks every partition's batch, in the order of the request, and sends those that need no more work.
func (p *produce) begin(c stage.Context) {
	at := 0
	for i := range p.topics {
		t := &p.topics[i]
		for range t.parts {
			p.door(c, t, at)
			at++
		}
	}
	if p.reworking == 0 {
		p.send(c)
	}
}

// door decides whether a partition's batch may go on to its leader.
func (p *produce) door(c stage.Context, t *producedTopic, at int) {
	part := &p.parts[at]
	part.result = message.Appended{BaseOffset: -1, LogAppendTime: -1, LogStart: -1, Leader: message.Nobody, LeaderEpoch: -1}
	if refused := p.refuse(t, part); refused != message.OK {
		part.result.Code = refused
		return
	}
	batch, refusal := checkBatch(part.records, p.r.Version, p.named)
	if refusal != nil {
		part.refuse(refusal)
		return
	}
	a := &p.appends[at]
	*a = message.Append{Batch: batch, Acks: p.acks, MaxTimestamp: batch.MaxTimestamp(), Verified: p.v2 && batch.Attributes().Has(record.Transactional), Trace: p.trace,
		FromClient: p.r.client != adminClient}
	if batch.Attributes().Has(record.Transactional) {
		a.TransactionalID = p.txnID
	}
	if d := p.r.conn.demand(p.r.Image, t.topic); d.of(batch) {
		p.rework(c, at, batch, d, t.topic)
	}
}

// adminClient may write to internal topics (S27).
const adminClient = "__admin_client"

// refuse is what the metadata has against an append.
func (p *produce) refuse(t *producedTopic, part *producedPart) message.Code {
	if p.acks < -1 || p.acks > 1 {
		return message.InvalidRequiredAcks
	}
	if t.code != message.OK {
		return t.code
	}
	at := t.topic.Partition(part.index)
	if at == nil {
		return message.UnknownTopicOrPartition
	}
	if !at.IsLeader(p.r.Node()) {
		part.result.Leader, part.result.LeaderEpoch = at.Leader, at.LeaderEpoch
		return message.NotLeaderOrFollower
	}
	if p.r.Image.Stale && len(at.ISR)+len(at.ELR) > 1 { // nobody else can lead where nobody else has everything
		part.result.Leader = message.Nobody
		return message.NotLeaderOrFollower
	}
	part.to = t.topic.At(part.index)
	return message.OK
}

// rework looks into a batch elsewhere. Until it is back nothing of this request is sent, nor is a later one begun: the
// order of appends is the order of requests.
func (p *produce) rework(c stage.Context, at int, batch record.Batch, d demand, t *image.Topic) {
	p.reworking++
	index, name := p.parts[at].index, t.Name
	id := c.Offload(reworkCost(len(batch)), func() any { return reworkBatch(batch, d, name, index) })
	p.r.conn.expect(id, (*reworking)(p), at)
}

// reworking is a produce that waits for batches to be looked into.
type reworking produce

func (w *reworking) resume(c stage.Context, at int, answer any) {
	p := (*produce)(w)
	done := answer.(*reworked)
	if p.appends[at].Batch = done.batch; done.refusal != nil {
		p.parts[at].refuse(done.refusal)
	}
	if p.reworking--; p.reworking == 0 {
		p.send(c)
		p.r.conn.proceed(c)
	}
}

// send asks the partitions to append.
func (p *produce) send(c stage.Context) {
	p.r.conn.unsettled--
	for i := range p.parts {
		if part := &p.parts[i]; part.result.Code == message.OK {
			p.waiting++
			to := message.PartitionAt(p.r.Node(), part.to)
			p.r.conn.expect(c.Ask(to, &p.appends[i], p.patience), p, i)
		}
	}
	if p.waiting == 0 {
		p.finish(c)
	}
}

// resume takes one partition's answer. Without one the partition, or the disk behind it, may still hold the frame.
func (p *produce) resume(c stage.Context, at int, answer any) {
	part := &p.parts[at]
	switch a := answer.(type) {
	case *message.Appended:
		part.result = *a
		if a.Code == message.TransactionAbortable && p.r.Version < abortableSince {
			part.result.Code = message.InvalidTxnState
		}
	case *stage.TimedOut:
		p.r.leaked = true
		part.result.Code = message.RequestTimedOut
	default:
		p.r.leaked = true
		part.result.Code = message.KafkaStorageError
	}
	if p.waiting--; p.waiting == 0 {
		p.finish(c)
	}
}

func (p *produce) finish(c stage.Context) {
	if p.traced != nil {
		p.traced(c.Now())
	}
	if p.acks != 0 {
		p.answer(c)
		return
	}
	for i := range p.parts {
		if code := p.parts[i].result.Code; code != message.OK {
			p.r.Refuse(c, fmt.Errorf("an append without acknowledgement failed with code %d: %s", code, p.parts[i].result.Message))
			return
		}
	}
	p.r.AnswerNothing(c)
}

func (part *producedPart) refuse(why *record.Refusal) {
	part.result.Code, part.result.Message = message.Code(why.Code), why.Message
	for _, e := range why.Records {
		part.result.RecordErrors = append(part.result.RecordErrors, message.RecordError{Index: e.Index, Message: e.Message})
	}
}
