package claims

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	ofTopic   = kmsg.ConfigResourceTypeTopic
	ofBroker  = kmsg.ConfigResourceTypeBroker
	ofLogger  = kmsg.ConfigResourceTypeBrokerLogger
	ofMetrics = kmsg.ConfigResourceTypeClientMetrics
	ofGroup   = kmsg.ConfigResourceTypeGroupConfig

	set      = kmsg.IncrementalAlterConfigOpSet
	remove   = kmsg.IncrementalAlterConfigOpDelete
	add      = kmsg.IncrementalAlterConfigOpAppend
	subtract = kmsg.IncrementalAlterConfigOpSubtract
)

// configs are what DescribeConfigs says of a resource, by name.
func (h *house) configs(kind kmsg.ConfigResourceType, name string, keys ...string) map[string]kmsg.DescribeConfigsResponseResourceConfig {
	h.t.Helper()
	r := ask[*kmsg.DescribeConfigsResponse](h, 4, describeConfigs(kind, name, keys...)).Resources[0]
	h.is(name, r.ErrorCode, 0)
	all := map[string]kmsg.DescribeConfigsResponseResourceConfig{}
	for _, c := range r.Configs {
		all[c.Name] = c
	}
	return all
}

func (h *house) value(topic, key string) string {
	h.t.Helper()
	return deref(h.configs(ofTopic, topic, key)[key].Value)
}

func (h *house) alter(kind kmsg.ConfigResourceType, name string, changes ...change) int16 {
	h.t.Helper()
	return ask[*kmsg.IncrementalAlterConfigsResponse](h, 1, incremental(kind, name, changes...)).Resources[0].ErrorCode
}

// S106: "configuration_keys null or empty = all; source ids 1 topic,2 dynamic broker,3 dynamic default broker,4 static
// broker,5 default; config_source = source of the winning synonym; synonyms in priority order only if include_synonyms;
// documentation only if v3+ and asked; config_type v3+."
func TestDescribeConfigsSaysWhy(t *testing.T) {
	h := newHouse(t, "log.retention.ms=5000")
	h.create("t", 1, "cleanup.policy", "compact")
	h.is("cluster", h.alter(ofBroker, "", change{set, "log.segment.bytes", "2000000"}), 0)
	h.is("broker", h.alter(ofBroker, "1", change{set, "log.segment.bytes", "3000000"}), 0)
	h.is("cluster", h.alter(ofBroker, "", change{set, "message.max.bytes", "2000000"}), 0)
	all := h.configs(ofTopic, "t")
	if n := len(h.configs(ofTopic, "t", []string{}...)); n != len(all) || n < 30 {
		t.Errorf("no keys: %d of %d", n, len(all))
	}
	if one := h.configs(ofTopic, "t", "retention.ms", "no.such"); len(one) != 1 {
		t.Errorf("one key: %v", one)
	}
	for name, want := range map[string]struct {
		source kmsg.ConfigSource
		value  string
		chain  []kmsg.ConfigSource
	}{
		"cleanup.policy":    {1, "compact", []kmsg.ConfigSource{1, 5}},
		"segment.bytes":     {2, "3000000", []kmsg.ConfigSource{2, 3, 5}},
		"max.message.bytes": {3, "2000000", []kmsg.ConfigSource{3, 5}},
		"retention.ms":      {4, "5000", []kmsg.ConfigSource{4, 5}},
		"flush.ms":          {5, "9223372036854775807", nil},
	} {
		c := all[name]
		var chain []kmsg.ConfigSource
		for _, s := range c.ConfigSynonyms {
			chain = append(chain, s.Source)
		}
		if c.Source != want.source || deref(c.Value) != want.value || want.chain != nil && !slices.IsSorted(chain) || len(chain) > 0 && chain[0] != c.Source {
			t.Errorf("%s is %s from %d by way of %v", name, deref(c.Value), c.Source, chain)
		}
		if c.Documentation == nil || c.ConfigType == 0 {
			t.Errorf("%s has no documentation or no type", name)
		}
	}
	q := describeConfigs(ofTopic, "t")
	q.IncludeDocumentation, q.IncludeSynonyms = false, false
	for _, c := range ask[*kmsg.DescribeConfigsResponse](h, 4, q).Resources[0].Configs {
		if c.Documentation != nil || len(c.ConfigSynonyms) > 0 {
			t.Fatalf("%s is told more of than was asked", c.Name)
		}
	}
}

// L11: "DescribeConfigs(broker) must list advertised.listeners, listeners, … with non-dynamic ones readOnly." S106: "non-dynamic
// broker configs read_only."
func TestBrokersShowTheirListeners(t *testing.T) {
	all := newHouse(t).configs(ofBroker, "1")
	for _, name := range []string{"advertised.listeners", "listeners", "log.dirs", "node.id", "broker.rack"} {
		if c, ok := all[name]; !ok || !c.ReadOnly {
			t.Errorf("%s: there %v, read-only %v", name, ok, c.ReadOnly)
		}
	}
	if c := all["log.retention.ms"]; c.ReadOnly {
		t.Error("log.retention.ms is shown as read-only")
	}
}

// S107: "BROKER with name ” = cluster default; a broker answers only for its own id else INVALID_REQUEST. Unknown topic ->
// 3." Types 2 topic, 4 broker, 8 broker-logger, 16 client-metrics, 32 group.
func TestDescribeConfigsOfEveryKind(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		kind kmsg.ConfigResourceType
		name string
		want int16
	}{
		{ofTopic, "nowhere", unknownTopicOrPartition}, {ofTopic, "bad name!", invalidTopicException}, {ofBroker, "", 0}, {ofBroker, "1", 0},
		{ofBroker, "2", invalidRequest}, {ofBroker, "one", invalidRequest}, {ofLogger, "1", 0}, {ofLogger, "2", invalidRequest},
		{ofMetrics, "m", 0}, {ofGroup, "g", 0}, {7, "x", invalidRequest},
	} {
		eachVersion(1, 4, func(v int16) {
			h.is(c.name, ask[*kmsg.DescribeConfigsResponse](h, v, describeConfigs(c.kind, c.name)).Resources[0].ErrorCode, c.want)
		})
	}
	if n := len(h.configs(ofBroker, "")); n != 0 {
		t.Errorf("the cluster's defaults are %d before anybody set one", n)
	}
	h.is("set", h.alter(ofBroker, "", change{set, "log.retention.ms", "77"}), 0)
	if all := h.configs(ofBroker, ""); len(all) != 1 || deref(all["log.retention.ms"].Value) != "77" || all["log.retention.ms"].Source != 3 {
		t.Errorf("the cluster's defaults are %v", all)
	}
}

// S108: "IncrementalAlterConfigs ops SET 0, DELETE 1, APPEND 2, SUBTRACT 3; APPEND/SUBTRACT only on LIST type ->
// INVALID_CONFIG; duplicates of a key -> INVALID_REQUEST; all-or-nothing per resource. Both honour validate_only. DELETE
// restores default."
func TestIncrementalAlterConfigs(t *testing.T) {
	h := newHouse(t)
	h.create("t", 1)
	step := func(what string, want int16, key, value string, changes ...change) {
		t.Helper()
		h.is(what, h.alter(ofTopic, "t", changes...), want)
		if got := h.value("t", key); got != value {
			t.Errorf("%s: %s is %s, not %s", what, key, got, value)
		}
	}
	step("set", 0, "retention.ms", "1000", change{set, "retention.ms", "1000"})
	step("append", 0, "cleanup.policy", "delete,compact", change{add, "cleanup.policy", "compact"})
	step("subtract", 0, "cleanup.policy", "compact", change{subtract, "cleanup.policy", "delete"})
	step("append to a number", invalidConfig, "retention.ms", "1000", change{add, "retention.ms", "1"})
	step("a key twice", invalidRequest, "retention.ms", "1000", change{set, "retention.ms", "1"}, change{set, "retention.ms", "2"})
	step("one is wrong", invalidConfig, "retention.ms", "1000", change{set, "retention.ms", "1"}, change{set, "segment.ms", "soon"})
	step("unknown", invalidConfig, "retention.ms", "1000", change{set, "no.such", "1"})
	step("delete", 0, "retention.ms", "604800000", change{remove, "retention.ms", ""})
	q := incremental(ofTopic, "t", change{set, "retention.ms", "5"})
	q.ValidateOnly = true
	h.is("validate_only", ask[*kmsg.IncrementalAlterConfigsResponse](h, 1, q).Resources[0].ErrorCode, 0)
	if got := h.value("t", "retention.ms"); got != "604800000" {
		t.Errorf("validate_only set retention.ms=%s", got)
	}
	two := incremental(ofTopic, "nowhere", change{set, "retention.ms", "5"})
	two.Resources = append(two.Resources, incremental(ofTopic, "t", change{set, "retention.ms", "5"}).Resources...)
	r := ask[*kmsg.IncrementalAlterConfigsResponse](h, 1, two).Resources
	h.is("one of two resources", r[0].ErrorCode, unknownTopicOrPartition)
	if h.is("the other", r[1].ErrorCode, 0); h.value("t", "retention.ms") != "5" {
		t.Error("the other was not altered")
	}
	same := incremental(ofTopic, "t", change{set, "retention.ms", "6"})
	same.Resources = append(same.Resources, same.Resources...)
	for _, r := range ask[*kmsg.IncrementalAlterConfigsResponse](h, 1, same).Resources {
		h.is("a resource twice", r.ErrorCode, invalidRequest)
	}
}

// S108: "AlterConfigs replaces the whole override map."
func TestAlterConfigsReplaces(t *testing.T) {
	h := newHouse(t)
	h.create("t", 1, "retention.ms", "1000", "cleanup.policy", "compact")
	r := ask[*kmsg.AlterConfigsResponse](h, 2, alterConfigs("t", "segment.ms", "5000")).Resources[0]
	h.is("alter", r.ErrorCode, 0)
	if h.value("t", "retention.ms") != "604800000" || h.value("t", "cleanup.policy") != "delete" || h.value("t", "segment.ms") != "5000" {
		t.Error("what was not named is still there, or what was is not")
	}
	q := alterConfigs("t")
	q.ValidateOnly = true
	h.is("validate_only", ask[*kmsg.AlterConfigsResponse](h, 2, q).Resources[0].ErrorCode, 0)
	h.is("wrong", ask[*kmsg.AlterConfigsResponse](h, 2, alterConfigs("t", "segment.ms", "x")).Resources[0].ErrorCode, invalidConfig)
	if h.value("t", "segment.ms") != "5000" {
		t.Error("a trial or a refusal changed something")
	}
}

// KIP-1142: ListConfigResources names what has a configuration; version 0 knows client metrics only.
func TestListConfigResources(t *testing.T) {
	h := newHouse(t)
	h.create("t", 1)
	h.is("metrics", h.alter(ofMetrics, "m", change{set, "interval.ms", "1000"}), 0)
	h.is("group", h.alter(ofGroup, "g", change{set, "consumer.session.timeout.ms", "50000"}), 0)
	names := func(version int16, kinds ...int8) (all []string) {
		q := kmsg.NewPtrListConfigResourcesRequest()
		q.ResourceTypes = kinds
		for _, r := range ask[*kmsg.ListConfigResourcesResponse](h, version, q).ConfigResources {
			all = append(all, r.Name)
		}
		return all
	}
	if got := names(0); !slices.Equal(got, []string{"m"}) {
		t.Errorf("version 0: %v", got)
	}
	if got := names(1); !slices.Equal(got, []string{"t", "1", "1", "m", "g"}) {
		t.Errorf("all: %v", got)
	}
	if got := names(1, 2, 32); !slices.Equal(got, []string{"t", "g"}) {
		t.Errorf("two kinds: %v", got)
	}
	q := kmsg.NewPtrListConfigResourcesRequest()
	q.ResourceTypes = []int8{99}
	h.is("a kind that is not there", ask[*kmsg.ListConfigResourcesResponse](h, 1, q).ErrorCode, unsupportedVersion)
}
