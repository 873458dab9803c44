package setting

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values are settings that somebody gave: a broker's static configuration as it was started. They do not change.
type Values struct{ given map[string]string }

// NewValues keeps a copy of what was given.
func NewValues(given map[string]string) Values { return Values{maps.Clone(given)} }

// Get is a value that was given; ok is false if none was.
func (v Values) Get(name string) (value string, ok bool) {
	value, ok = v.given[name]
	return value, ok
}

// Names are what was given, ascending.
func (v Values) Names() []string { return slices.Sorted(maps.Keys(v.given)) }

// With is a copy with one more value.
func (v Values) With(name, value string) Values {
	given := maps.Clone(v.given)
	if given == nil {
		given = map[string]string{}
	}
	given[name] = value
	return Values{given}
}

// Source says where a value comes from, numbered as in Kafka's DescribeConfigs (config_source, S106).
type Source int8

// The sources.
const (
	FromTopic          Source = 1
	FromBroker         Source = 2 // set dynamically for one broker
	FromBrokersDefault Source = 3 // set dynamically for all brokers
	FromStart          Source = 4 // given when the broker started
	FromTable          Source = 5 // the default
	FromLogger         Source = 6
	FromMetrics        Source = 7
	FromGroup          Source = 8
)

// Layers are a broker's configuration, strongest first: set dynamically for it, set dynamically for all, given at its
// start. Under them is the table. The maps are not changed here and must not change elsewhere.
type Layers struct {
	Broker, Cluster map[string]string
	Static          Values
}

// Resolved is a setting's effective value and how it came to be.
type Resolved struct {
	*Setting
	Value  *string // nil: null
	Source Source
	// From is every layer that has a value, strongest first: the first is the one in force. Values are in the units of the
	// synonym that has them.
	From []Origin
	// Fixed: it cannot change while the broker runs.
	Fixed bool
}

// Origin is one layer's value of a setting or of its synonym.
type Origin struct {
	Name   string
	Value  string
	Source Source
	times  int64
}

// Resolve finds a setting's effective value. own are the overrides of the topic, group or subscription itself, nil for a
// broker's setting.
func (l Layers) Resolve(s *Setting, own map[string]string) Resolved {
	r := Resolved{Setting: s, Source: FromTable, Fixed: s.Scope == OfBroker && s.Dynamic == ReadOnly}
	if v, ok := own[s.Name]; ok && s.Scope != OfBroker {
		r.From = append(r.From, Origin{Name: s.Name, Value: v, Source: ownSource[s.Scope]})
	}
	r.From = slices.AppendSeq(r.From, l.origins(s))
	if len(r.From) > 0 {
		v := r.From[0].scaled()
		r.Value, r.Source = &v, r.From[0].Source
	} else if !s.Null {
		r.Value = &s.Default
	}
	return r
}

var ownSource = map[Scope]Source{OfTopic: FromTopic, OfGroup: FromGroup, OfMetrics: FromMetrics}

// origins looks for a setting and its synonyms in the broker's layers and in the table, the effective one first.
func (l Layers) origins(s *Setting) iter.Seq[Origin] {
	return func(yield func(Origin) bool) {
		for _, source := range [...]Source{FromBroker, FromBrokersDefault, FromStart, FromTable} {
			if s.Scope == OfBroker {
				if v, ok := l.get(source, s.Name); ok && !yield(Origin{Name: s.Name, Value: v, Source: source}) {
					return
				}
			}
			for i := range s.Synonyms {
				n := &s.Synonyms[i]
				if v, ok := l.get(source, n.Name); ok && !yield(Origin{Name: n.Name, Value: v, Source: source, times: n.Times}) {
					return
				}
			}
		}
	}
}

// get is what one of the layers, or the table, has for a broker's setting.
func (l Layers) get(layer Source, name string) (value string, ok bool) {
	switch layer {
	case FromBroker:
		value, ok = l.Broker[name]
	case FromBrokersDefault:
		value, ok = l.Cluster[name]
	case FromStart:
		value, ok = l.Static.Get(name)
	default:
		return tableDefault(name)
	}
	return value, ok
}

func tableDefault(name string) (string, bool) {
	s, ok := Lookup(OfBroker, name)
	if !ok || s.Null {
		return "", false
	}
	return s.Default, true
}

// scaled is the value in the units of the setting that was asked for. -1 means for ever in every unit.
func (o Origin) scaled() string {
	if o.times <= 1 {
		return o.Value
	}
	n, err := strconv.ParseInt(strings.TrimSpace(o.Value), 10, 64)
	if err != nil || n < 0 {
		return o.Value
	}
	return strconv.FormatInt(n*o.times, 10)
}

// value is a setting's effective value as text, empty for null: that of Resolve, without where else it is set. Every produce request
// asks for a topic's, so it allocates nothing unless the value is in other units.
func (l Layers) value(scope Scope, name string, own map[string]string) string {
	s, ok := Lookup(scope, name)
	if !ok {
		panic(fmt.Sprintf("setting: there is no %s setting %q in the table", scope, name))
	}
	if v, ok := own[name]; ok {
		return strings.TrimSpace(v)
	}
	text := ""
	if !s.Null {
		text = s.Default
	}
	l.origins(s)(func(effective Origin) bool {
		text = effective.scaled()
		return false
	})
	return strings.TrimSpace(text)
}

// Text is a broker setting's effective value, empty for null. The name must be in the table, here and below.
func (l Layers) Text(name string) string { return l.value(OfBroker, name, nil) }

// Number is a broker setting's effective value as a whole number, 0 for null.
func (l Layers) Number(name string) int64 { return number(l.Text(name)) }

// Fraction is a broker setting's effective value as a number with a point.
func (l Layers) Fraction(name string) float64 { return fraction(l.Text(name)) }

// Bool is a broker setting's effective value as a truth.
func (l Layers) Bool(name string) bool { return truth(l.Text(name)) }

// Strings are the elements of a broker setting that is a list.
func (l Layers) Strings(name string) []string { return Elements(l.Text(name)) }

// ReadsNearby says that consumers may read from the replica in their rack.
func (l Layers) ReadsNearby() bool {
	return strings.HasSuffix(l.Text("replica.selector.class"), "RackAwareReplicaSelector")
}

// Millis is a broker setting in milliseconds as a duration; what is too long for one is the longest there is, and
// negative values stay negative.
func (l Layers) Millis(name string) time.Duration { return Duration(l.Number(name)) }

// GroupMillis is a group's setting in milliseconds; own are the group's overrides.
func (l Layers) GroupMillis(name string, own map[string]string) time.Duration {
	return Duration(number(l.value(OfGroup, name, own)))
}

// Duration makes milliseconds a duration, without overflow.
func Duration(millis int64) time.Duration {
	const longest = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(max(min(millis, longest), -longest)) * time.Millisecond
}

// number, truth and fraction read values that Check has let pass; what it has not is 0.
func number(v string) int64 {
	n, _ := strconv.ParseInt(v, 10, 64)
	return n
}

func truth(v string) bool { return strings.EqualFold(v, "true") }

func fraction(v string) float64 {
	f, _ := strconv.ParseFloat(v, 64)
	return f
}
