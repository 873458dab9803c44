package metadata

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// alterConfigs changes overrides, each resource on its own, all of its changes or none (S107, S108).
func (t *turn) alterConfigs(m *message.AlterConfigs) *message.Results {
	answer := &message.Results{Problems: make([]message.Problem, len(m.Resources))}
	count := map[message.Resource]int{}
	for i := range m.Resources {
		count[m.Resources[i].Resource]++
	}
	for i := range m.Resources {
		r := &m.Resources[i]
		answer.Problems[i] = t.trial(!m.ValidateOnly, func(t *turn) message.Problem {
			if count[r.Resource] > 1 {
				return refuse(message.InvalidRequest, "Each resource must appear at most once.")
			}
			return t.alterResource(r, m.Replace)
		})
	}
	t.reconsider()
	return answer
}

// reconsider looks again at partitions that wait for something, when what they wait by has changed: with fewer
// min.insync.replicas records are committed that eligible replicas lack, without the feature nobody is eligible, and where loss
// is allowed somebody may lead (KIP-966).
func (t *turn) reconsider() {
	if slices.ContainsFunc(t.records, decidesElections) {
		t.revise(func(p *image.Partition) bool { return p.Leader == message.Nobody || len(p.ELR)+len(p.LastKnownELR) > 0 }, func(*revision) {})
	}
}

func decidesElections(r message.MetadataRecord) bool {
	switch r := r.(type) {
	case *message.ConfigRecord:
		return r.Key == "min.insync.replicas" || r.Key == "unclean.leader.election.enable"
	case *message.FeatureRecord:
		return r.Name == eligibleFeature
	}
	return false
}

func (t *turn) alterResource(r *message.AlterResource, replace bool) message.Problem {
	scope, p := t.scope(r.Resource)
	if p.Code == message.OK {
		p = checkOps(r.Ops)
	}
	if p.Code != message.OK {
		return p
	}
	own := t.image().Config(r.Kind, r.Name)
	next := own
	if replace {
		next = nil
	}
	for _, op := range r.Ops {
		value, err := t.alter(scope, r.Resource, next, op)
		if err != nil {
			return refuse(invalid(scope), "%s", err)
		}
		next = next.With(op.Name, value)
	}
	if r.Kind == message.ResourceGroup {
		if err := t.layers().CheckGroup(next); err != nil {
			return refuse(message.InvalidConfig, "%s", err)
		}
	}
	t.noteDifference(r.Resource, own, next)
	return message.Problem{}
}

// invalid is the code for a value that a setting does not take: for brokers Kafka has another one than for the rest.
func invalid(scope setting.Scope) message.Code {
	if scope == setting.OfBroker {
		return message.InvalidRequest
	}
	return message.InvalidConfig
}

// checkOps refuses keys that come twice, and values that are missing.
func checkOps(ops []message.ConfigOp) message.Problem {
	seen := make(map[string]bool, len(ops))
	var null []string
	for _, op := range ops {
		if seen[op.Name] {
			return refuse(message.InvalidRequest, "Error due to duplicate config keys")
		}
		seen[op.Name] = true
		if op.Value == nil && setting.Op(op.Op) != setting.Delete {
			null = append(null, op.Name)
		}
	}
	if len(null) > 0 {
		return refuse(message.InvalidRequest, "Null value not supported for : %s", strings.Join(null, ","))
	}
	return message.Problem{}
}

// scope says which settings a resource has, and refuses resources that have none or are not there.
func (t *turn) scope(r message.Resource) (setting.Scope, message.Problem) {
	if r.Name == "" && r.Kind != message.ResourceBroker && kindNames[r.Kind] != "" {
		return 0, refuse(message.InvalidRequest, "Default %s resources are not allowed.", kindNames[r.Kind])
	}
	switch r.Kind {
	case message.ResourceTopic:
		if t.image().Topic(r.Name) == nil {
			return 0, refuse(message.UnknownTopicOrPartition, "The topic '%s' does not exist.", r.Name)
		}
		return setting.OfTopic, message.Problem{}
	case message.ResourceBroker:
		return setting.OfBroker, t.checkBrokerName(r.Name)
	case message.ResourceGroup:
		return setting.OfGroup, message.Problem{}
	case message.ResourceClientMetrics:
		return setting.OfMetrics, message.Problem{}
	case message.ResourceBrokerLogger:
		return 0, refuse(message.InvalidRequest, "Log levels of single loggers cannot be set: this broker has one level for all, given when it starts.")
	}
	return 0, refuse(message.InvalidRequest, "Unexpected resource type %d.", r.Kind)
}

var kindNames = map[message.ResourceKind]string{
	message.ResourceTopic:         "topic",
	message.ResourceGroup:         "group",
	message.ResourceClientMetrics: "client metrics",
}

func (t *turn) checkBrokerName(name string) message.Problem {
	if name == "" {
		return message.Problem{}
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return refuse(message.InvalidRequest, "Node id must be an integer, but it is: %s", name)
	}
	if t.image().Broker(message.NodeID(id)) == nil {
		return refuse(message.BrokerIDNotRegistered, "No broker with id %s found.", name)
	}
	return message.Problem{}
}

// alter says what one override becomes, nil if it goes.
func (t *turn) alter(scope setting.Scope, r message.Resource, own image.Overrides, op message.ConfigOp) (*string, error) {
	if setting.Op(op.Op) == setting.Delete {
		return nil, nil
	}
	s, err := lookup(scope, r, op.Name)
	if err != nil {
		return nil, err
	}
	value, keep, err := s.Alter(setting.Op(op.Op), t.inForce(s, r, own), op.Value)
	if err != nil || !keep {
		return nil, err
	}
	return &value, nil
}

// lookup finds a setting that may be changed while brokers run. A broker's setting that means something to Kafka only is
// kept as it is given.
func lookup(scope setting.Scope, r message.Resource, name string) (*setting.Setting, error) {
	s, err := setting.Known(scope, name)
	switch {
	case err != nil && scope == setting.OfBroker && setting.Foreign(name):
		return &setting.Setting{Name: name, Scope: scope, Type: setting.String, Dynamic: setting.PerBroker}, nil
	case err != nil:
		return nil, suggest(err, scope, name)
	case scope == setting.OfBroker && s.Dynamic == setting.ReadOnly:
		return nil, sentence("Cannot update these configs dynamically: Set(" + name + ")")
	case scope == setting.OfBroker && s.Dynamic == setting.PerBroker && r.Name == "":
		return nil, sentence("Cannot update these configs at default cluster level, broker id must be specified: Set(" + name + ")")
	}
	return s, nil
}

// sentence is a refusal in Kafka's own words.
type sentence string

func (s sentence) Error() string { return string(s) }

// suggest adds what may have been meant to the refusal of a broker's setting, whose text no script compares.
func suggest(err error, scope setting.Scope, name string) error {
	if near := setting.Nearest(scope, name); scope == setting.OfBroker && near != "" {
		return fmt.Errorf("%w (did you mean %s?)", err, near)
	}
	return err
}

// inForce is the value that APPEND and SUBTRACT start from.
func (t *turn) inForce(s *setting.Setting, r message.Resource, own image.Overrides) string {
	if v, ok := own[s.Name]; ok {
		return v
	}
	l := t.layers()
	if r.Kind == message.ResourceBroker {
		l.Broker = nil
		if r.Name != "" {
			l.Broker = t.image().Config(r.Kind, r.Name)
		}
	}
	if v := l.Resolve(s, own).Value; v != nil {
		return *v
	}
	return ""
}

// noteDifference notes the records that make one set of overrides from the other.
func (t *turn) noteDifference(r message.Resource, from, to image.Overrides) {
	for name := range from.All() {
		if _, stays := to[name]; !stays {
			t.note(&message.ConfigRecord{Resource: r, Key: name})
		}
	}
	for name, value := range to.All() {
		if was, had := from[name]; !had || was != value {
			t.note(&message.ConfigRecord{Resource: r, Key: name, Value: &value})
		}
	}
}
