package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// AddOffsetsToTxn takes the partition in which a group's offsets are kept into a producer's transaction (KIP-98). v2 has a code for who is
// fenced, v3 is flexible. Producers of transaction version 2 do without it.
var addOffsetsToTxnAPI = api{key: 25, min: 0, max: 4, start: decoded(onAddOffsetsToTxn), shape: "s 8 2 s"}

func onAddOffsetsToTxn(c stage.Context, r *Request, q *kmsg.AddOffsetsToTxnRequest) {
	resp := kmsg.NewPtrAddOffsetsToTxnResponse()
	answer := func(c stage.Context) { r.Answer(c, resp) }
	r.bringAbout(c, stateTopic(r, coordinatorOfGroup))
	id, _, code := coordinatorIn(r.Image, groupTopic, q.Group)
	if q.Group == "" || len(q.Group) > textMax {
		code = message.InvalidGroupID
	}
	if code != message.OK {
		resp.ErrorCode = int16(code)
		answer(c)
		return
	}
	e := &enlisting{ask: message.Enlist{TransactionalID: q.TransactionalID, Producer: q.ProducerID, Epoch: q.ProducerEpoch}}
	e.part(r, groupTopic, id.Index, &resp.ErrorCode)
	e.begin(c, r, answer)
}
