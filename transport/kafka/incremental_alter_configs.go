package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// incrementalAlterConfigs changes single overrides (KIP-339, S108).
var incrementalAlterConfigs = api{key: 44, min: 0, max: 1, shape: "(1 s (s 1 s)) 1", start: decoded(onIncrementalAlterConfigs)}

func onIncrementalAlterConfigs(c stage.Context, r *Request, q *kmsg.IncrementalAlterConfigsRequest) {
	ask := &message.AlterConfigs{ValidateOnly: q.ValidateOnly}
	for _, res := range q.Resources {
		a := message.AlterResource{Resource: message.Resource{Kind: message.ResourceKind(res.ResourceType), Name: res.ResourceName}}
		for _, s := range res.Configs {
			a.Ops = append(a.Ops, message.ConfigOp{Name: s.Name, Op: int8(s.Op), Value: s.Value})
		}
		ask.Resources = append(ask.Resources, a)
	}
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	r.alter(c, ask, resp, func(of message.Resource, p message.Problem) {
		resp.Resources = append(resp.Resources, kmsg.IncrementalAlterConfigsResponseResource{ErrorCode: int16(p.Code), ErrorMessage: note(p.Message),
			ResourceType: kmsg.ConfigResourceType(of.Kind), ResourceName: of.Name})
	})
}
