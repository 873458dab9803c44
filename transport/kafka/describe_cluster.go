package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// describeCluster lists the brokers (KIP-700); v1 asks for brokers (1) or controllers (2), v2 shows fenced ones.
var describeCluster = api{key: 60, min: 0, max: 2, shape: "1 1@1+ 1@2+", start: decoded(onDescribeCluster)}

func onDescribeCluster(c stage.Context, r *Request, q *kmsg.DescribeClusterRequest) {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.EndpointType, resp.ClusterID, resp.ControllerID = q.EndpointType, r.Image.Cluster, int32(r.controller())
	resp.ClusterAuthorizedOperations = notAsked
	if q.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = everythingOnCluster
	}
	if r.Version >= 1 && q.EndpointType != 1 {
		resp.ErrorCode, resp.ErrorMessage = int16(mismatchedEndpointType), note("The request was sent to an endpoint of type BROKER, but we wanted an endpoint of another type.")
		resp.Brokers = []kmsg.DescribeClusterResponseBroker{}
		r.Answer(c, resp)
		return
	}
	for b := range r.Image.Brokers() {
		host, port, ok := r.Endpoint(b)
		if ok && (!b.Fenced || q.IncludeFencedBrokers) {
			resp.Brokers = append(resp.Brokers, kmsg.DescribeClusterResponseBroker{NodeID: int32(b.ID), Host: host, Port: port, Rack: note(b.Rack), IsFenced: b.Fenced})
		}
	}
	r.Answer(c, resp)
}

// mismatchedEndpointType is MISMATCHED_ENDPOINT_TYPE (KIP-919).
const mismatchedEndpointType message.Code = 114
