package kafka

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/stage"
)

// describeConfigs shows what is configured and why (S106, S107): v1 knows synonyms, v3 types and documentation.
var describeConfigs = api{key: 32, min: 1, max: 4, shape: "(1 s [s]) 1@1+ 1@3+", start: decoded(onDescribeConfigs)}

func onDescribeConfigs(c stage.Context, r *Request, q *kmsg.DescribeConfigsRequest) {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for _, ask := range q.Resources {
		out := kmsg.DescribeConfigsResponseResource{ResourceType: ask.ResourceType, ResourceName: ask.ResourceName, Configs: []kmsg.DescribeConfigsResponseResourceConfig{}}
		found, p := describe(r, message.Resource{Kind: message.ResourceKind(ask.ResourceType), Name: ask.ResourceName})
		out.ErrorCode, out.ErrorMessage = int16(p.Code), note(p.Message)
		for _, e := range found {
			if len(ask.ConfigNames) == 0 || slices.Contains(ask.ConfigNames, e.Name) {
				out.Configs = append(out.Configs, described(e, q))
			}
		}
		resp.Resources = append(resp.Resources, out)
	}
	r.Answer(c, resp)
}

// describe finds a resource's settings, or says why it has none to show.
func describe(r *Request, of message.Resource) ([]setting.Resolved, message.Problem) {
	switch of.Kind {
	case message.ResourceTopic:
		if illegal(of.Name) {
			return nil, message.Problem{Code: message.InvalidTopicException, Message: fmt.Sprintf("The topic name %q is not legal.", of.Name)}
		}
		if r.Image.Topic(of.Name) == nil {
			return nil, message.Problem{Code: message.UnknownTopicOrPartition, Message: "The topic '" + of.Name + "' does not exist."}
		}
		return effective(r, setting.OfTopic, of), message.Problem{}
	case message.ResourceBroker:
		return describeBroker(r, of)
	case message.ResourceBrokerLogger:
		return nil, brokerProblem(r, of.Name)
	case message.ResourceClientMetrics:
		return effective(r, setting.OfMetrics, of), message.Problem{}
	case message.ResourceGroup:
		return effective(r, setting.OfGroup, of), message.Problem{}
	}
	return nil, message.Problem{Code: message.InvalidRequest, Message: fmt.Sprintf("Unsupported resource type: %d", of.Kind)}
}

func effective(r *Request, scope setting.Scope, of message.Resource) []setting.Resolved {
	layers, overrides := r.Layers(), r.Image.Config(of.Kind, of.Name)
	all := make([]setting.Resolved, 0, 64)
	for _, s := range setting.All(scope) {
		all = append(all, layers.Resolve(s, overrides))
	}
	return all
}

// describeBroker shows this broker's settings; without a name, those that are set dynamically for all brokers.
func describeBroker(r *Request, of message.Resource) ([]setting.Resolved, message.Problem) {
	if of.Name != "" {
		if p := brokerProblem(r, of.Name); p.Code != message.OK {
			return nil, p
		}
		return effective(r, setting.OfBroker, message.Resource{Kind: of.Kind}), message.Problem{}
	}
	layers := setting.Layers{Cluster: r.Image.Config(of.Kind, "")}
	var all []setting.Resolved
	for _, s := range setting.All(setting.OfBroker) {
		if _, ok := layers.Cluster[s.Name]; ok {
			all = append(all, layers.Resolve(s, nil))
		}
	}
	return all, message.Problem{}
}

// brokerProblem refuses every broker but this one: clients ask each broker for its own settings.
func brokerProblem(r *Request, name string) message.Problem {
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return message.Problem{Code: message.InvalidRequest, Message: "Broker id must be an integer, but it is: " + name}
	}
	if message.NodeID(id) != r.Node() {
		return message.Problem{Code: message.InvalidRequest, Message: fmt.Sprintf("Unexpected broker id, expected %d or empty string, but received %s", r.Node(), name)}
	}
	return message.Problem{}
}

func described(e setting.Resolved, q *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	out := kmsg.DescribeConfigsResponseResourceConfig{Name: e.Name, Value: shown(e), ReadOnly: e.Fixed, IsDefault: e.Source == setting.FromTable,
		Source: kmsg.ConfigSource(e.Source), IsSensitive: e.Sensitive(), ConfigType: kmsg.ConfigType(e.Type),
		ConfigSynonyms: []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{}}
	if q.IncludeSynonyms {
		for _, o := range e.From {
			s := kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{Name: o.Name, Source: kmsg.ConfigSource(o.Source)}
			if !e.Sensitive() {
				s.Value = &o.Value
			}
			out.ConfigSynonyms = append(out.ConfigSynonyms, s)
		}
	}
	if q.IncludeDocumentation {
		out.Documentation = &e.Sentence
	}
	return out
}
