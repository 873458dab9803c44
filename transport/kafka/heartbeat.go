package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Heartbeat says that a member of a classic group lives, and hears whether it has to join anew. v3 has static members (KIP-345), v4 is
// flexible.
var heartbeatAPI = api{key: 12, min: 0, max: 4, start: decoded(onHeartbeat), shape: "s 4 s s@3+"}

func onHeartbeat(c stage.Context, r *Request, q *kmsg.HeartbeatRequest) {
	ask := &message.GroupHeartbeat{Group: q.Group, Member: q.MemberID, Instance: value(q.InstanceID), Generation: q.Generation, Holding: r.conn.holding()}
	askHolding(c, r, q.Group, q.MemberID, ask, ask.Holding, func(c stage.Context, beat *message.GroupBeat, code message.Code) {
		resp := kmsg.NewPtrHeartbeatResponse()
		if resp.ErrorCode = int16(code); code == message.OK {
			resp.ErrorCode = int16(beat.Code)
		}
		r.Answer(c, resp)
	})
}
