package coordinator

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
)

// proofs are answers that need no record: nothing shows that this node coordinates still. One that was cut off a moment ago may not know
// that it does not, and would tell of offsets that are overtaken, or call a transaction ended that is another one by now. Such an answer leaves
// when the metadata quorum has confirmed that nobody else coordinated when it was made.
//
//	answer without a record ─▶ later ─▶ Confirm ─▶ controller ─▶ Confirmed, and the metadata names this node ─▶ pen
//	                                                        └──▶ silence, or it names another ─▶ NotCoordinator
type proofs struct {
	asked stage.RequestID // 0: nothing is asked
	under []brain.Reply   // that are proved by the answer
	later []brain.Reply   // that were made since it was asked
}

// proofPatience is how long the quorum may take: to elect a leader, where it has none.
const proofPatience = 5 * time.Second

// isUnproved says that an answer rests on what is known here alone. Where there is one replica nobody else can coordinate.
func (k *Coordinator) isUnproved(out brain.Out) bool {
	if len(out.Records) > 0 || !slices.ContainsFunc(out.Replies, rests) || planted.Is(planted.AnswersUnproved) {
		return false
	}
	_, p := k.image.Partition(k.opts.ID)
	return p != nil && len(p.Replicas) > 1
}

// rests says that nobody may hear an answer from who was deposed, who would act on it where nothing asks the coordinator again.
func rests(r brain.Reply) bool {
	switch r.Answer.(type) {
	case *message.OffsetsFetched, *message.TransactionEnded, *message.ProducerInitiated:
		return true
	}
	return false
}

// prove asks for those that wait, if it is not asked already. One question is enough for all of them.
func (k *Coordinator) prove(c stage.Context) {
	if p := &k.proofs; p.asked == 0 && len(p.later) > 0 {
		p.under, p.later = p.later, nil
		p.asked = c.Ask(message.ControllerAt(c.Self().Node), &message.Confirm{}, proofPatience)
	}
}

// confirmed lets go what is proved, unless the metadata names another.
func (k *Coordinator) confirmed(c stage.Context) {
	if c.Answers() != k.proofs.asked || k.proofs.asked == 0 {
		return
	}
	k.know(c)
	_, p := k.image.Partition(k.opts.ID)
	if p == nil || p.Leader != c.Self().Node || p.LeaderEpoch != k.epoch {
		k.unconfirmed(c)
		return
	}
	k.pen.add(c.Now(), brain.Out{Replies: k.proofs.under}, k.opts.RecordMax)
	k.proofs.asked, k.proofs.under = 0, nil
	k.write(c)
	k.prove(c)
}

// unconfirmed sends those away who wait for a proof that has not come.
func (k *Coordinator) unconfirmed(c stage.Context) {
	for _, r := range k.proofs.under {
		c.Answer(k.callers.take(r.To), &message.Uncoordinated{Code: message.NotCoordinator})
	}
	k.proofs.asked, k.proofs.under = 0, nil
	k.prove(c)
}
