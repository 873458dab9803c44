package producers

import (
	"maps"
	"math"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/record"
)

const (
	// refusalsMax is how many producers' refusals are remembered: of more, none is.
	refusalsMax = 1024
	// refusalLasts is how long a producer has to come again with what was refused. One that gives it up and goes on without is told
	// from then on that it is out of order.
	refusalLasts = 10 * time.Second
)

// Refused is what one partition has refused for now, of idempotent producers that may try again. What stands behind it in the same
// producer's sequence was sent before the producer could know, and is refused with the same code: to be told that it is out of
// order would be no error of the producer's, and librdkafka answers that with a new epoch, in which it writes everything once more
// that it has under way anywhere. The zero value has refused nothing and holds no memory.
type Refused struct{ byID map[int64]refusal }

// refusal is of the first batch that was refused.
type refusal struct {
	first int32 // sequence
	epoch int16
	code  message.Code
	why   string
	until time.Time
}

// Note remembers a refusal. One that rests on an earlier one changes nothing.
func (r *Refused) Note(b record.Batch, code message.Code, why string, now time.Time) {
	id := b.ProducerID()
	if id < 0 || !retriable(code) || r.Behind(b, now).Code != message.OK {
		return
	}
	if len(r.byID) >= refusalsMax {
		maps.DeleteFunc(r.byID, func(_ int64, x refusal) bool { return now.After(x.until) })
	}
	if len(r.byID) >= refusalsMax {
		clear(r.byID)
	}
	if r.byID == nil {
		r.byID = map[int64]refusal{}
	}
	r.byID[id] = refusal{b.BaseSequence(), b.ProducerEpoch(), code, why, now.Add(refusalLasts)}
}

func retriable(code message.Code) bool {
	return code == message.KafkaStorageError || code == message.NotEnoughReplicas || code == message.NotLeaderOrFollower ||
		code == message.ConcurrentTransactions
}

// Behind is the verdict on a batch that comes behind one that was refused; the zero Verdict for every other.
func (r *Refused) Behind(b record.Batch, now time.Time) Verdict {
	x, known := r.byID[b.ProducerID()]
	if !known || x.epoch != b.ProducerEpoch() || now.After(x.until) {
		return Verdict{}
	}
	if ahead := (b.BaseSequence() - x.first) & math.MaxInt32; ahead == 0 || ahead > math.MaxInt32/2 {
		return Verdict{}
	}
	return Verdict{Code: x.code, Message: x.why}
}

// Appended forgets the refusal of a producer that goes on.
func (r *Refused) Appended(b record.Batch) {
	if len(r.byID) == 0 {
		return
	}
	if delete(r.byID, b.ProducerID()); len(r.byID) == 0 {
		r.byID = nil
	}
}
