package kafka

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// listConfigResources names what has a configuration (KIP-1142; version 0 knows client metrics only, KIP-1000).
var listConfigResources = api{key: 74, min: 0, max: 1, shape: "[1]@1+", start: decoded(onListConfigResources)}

func onListConfigResources(c stage.Context, r *Request, q *kmsg.ListConfigResourcesRequest) {
	kinds := []int8{int8(message.ResourceClientMetrics)}
	if r.Version >= 1 {
		kinds = q.ResourceTypes
	}
	if r.Version >= 1 && len(kinds) == 0 {
		kinds = []int8{int8(message.ResourceTopic), int8(message.ResourceBroker), int8(message.ResourceBrokerLogger), int8(message.ResourceClientMetrics), int8(message.ResourceGroup)}
	}
	resp := kmsg.NewPtrListConfigResourcesResponse()
	for _, kind := range kinds {
		names, ok := configured(r, message.ResourceKind(kind))
		if !ok {
			resp.ErrorCode = int16(message.UnsupportedVersion)
		}
		for _, name := range names {
			resp.ConfigResources = append(resp.ConfigResources, kmsg.ListConfigResourcesResponseConfigResource{Name: name, Type: kind})
		}
	}
	slices.SortFunc(resp.ConfigResources, func(a, b kmsg.ListConfigResourcesResponseConfigResource) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
	})
	r.Answer(c, resp)
}

// configured are the names of one kind of resource; ok is false for a kind that does not exist.
func configured(r *Request, kind message.ResourceKind) (names []string, ok bool) {
	switch kind {
	case message.ResourceTopic:
		for t := range r.Image.Topics() {
			names = append(names, t.Name)
		}
	case message.ResourceBroker, message.ResourceBrokerLogger:
		for b := range r.Image.Brokers() {
			names = append(names, strconv.Itoa(int(b.ID)))
		}
	case message.ResourceClientMetrics, message.ResourceGroup:
		for name := range r.Image.Configured(kind) {
			names = append(names, name)
		}
	default:
		return nil, false
	}
	return names, true
}
