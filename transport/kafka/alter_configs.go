package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// alterConfigs replaces all overrides of a resource: the legacy API (S108).
var alterConfigs = api{key: 33, min: 0, max: 2, shape: "(1 s (s s)) 1", start: decoded(onAlterConfigs)}

func onAlterConfigs(c stage.Context, r *Request, q *kmsg.AlterConfigsRequest) {
	ask := &message.AlterConfigs{Replace: true, ValidateOnly: q.ValidateOnly}
	for _, res := range q.Resources {
		a := message.AlterResource{Resource: message.Resource{Kind: message.ResourceKind(res.ResourceType), Name: res.ResourceName}}
		for _, s := range res.Configs {
			a.Ops = append(a.Ops, message.ConfigOp{Name: s.Name, Value: s.Value})
		}
		ask.Resources = append(ask.Resources, a)
	}
	resp := kmsg.NewPtrAlterConfigsResponse()
	r.alter(c, ask, resp, func(of message.Resource, p message.Problem) {
		resp.Resources = append(resp.Resources, kmsg.AlterConfigsResponseResource{ErrorCode: int16(p.Code), ErrorMessage: note(p.Message),
			ResourceType: kmsg.ConfigResourceType(of.Kind), ResourceName: of.Name})
	})
}

// alter has the controller change resources, and answers with resp, to which add adds what became of each.
func (r *Request) alter(c stage.Context, ask *message.AlterConfigs, resp kmsg.Response, add func(of message.Resource, p message.Problem)) {
	askController(c, r, ask, adminPatience, func(c stage.Context, results *message.Results, p message.Problem) {
		for i, p := range problems(results, p, len(ask.Resources)) {
			add(ask.Resources[i].Resource, p)
		}
		r.Answer(c, resp)
	})
}
