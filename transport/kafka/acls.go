package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/stage"
)

// The ACL APIs say that there is no authorizer (S123); security comes with a later release.
var (
	describeACLs = api{key: 29, min: 1, max: 3, shape: "1 s 1@1+ s s 1 1", start: decoded(onDescribeACLs)}
	createACLs   = api{key: 30, min: 1, max: 3, shape: "(1 s 1@1+ s s 1 1)", start: decoded(onCreateACLs)}
	deleteACLs   = api{key: 31, min: 1, max: 3, shape: "(1 s 1@1+ s s 1 1)", start: decoded(onDeleteACLs)}
)

// securityDisabled is SECURITY_DISABLED.
const securityDisabled = 54

var noAuthorizer = note("No Authorizer is configured on the broker.")

func onDescribeACLs(c stage.Context, r *Request, _ *kmsg.DescribeACLsRequest) {
	resp := kmsg.NewPtrDescribeACLsResponse()
	resp.ErrorCode, resp.ErrorMessage, resp.Resources = securityDisabled, noAuthorizer, []kmsg.DescribeACLsResponseResource{}
	r.Answer(c, resp)
}

func onCreateACLs(c stage.Context, r *Request, q *kmsg.CreateACLsRequest) {
	resp := kmsg.NewPtrCreateACLsResponse()
	for range q.Creations {
		resp.Results = append(resp.Results, kmsg.CreateACLsResponseResult{ErrorCode: securityDisabled, ErrorMessage: noAuthorizer})
	}
	r.Answer(c, resp)
}

func onDeleteACLs(c stage.Context, r *Request, q *kmsg.DeleteACLsRequest) {
	resp := kmsg.NewPtrDeleteACLsResponse()
	for range q.Filters {
		resp.Results = append(resp.Results, kmsg.DeleteACLsResponseResult{ErrorCode: securityDisabled, ErrorMessage: noAuthorizer, MatchingACLs: []kmsg.DeleteACLsResponseResultMatchingACL{}})
	}
	r.Answer(c, resp)
}
