package metadata

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
)

// Kafka's upgrade types (KIP-778).
const (
	upgrade         = 1
	safeDowngrade   = 2
	unsafeDowngrade = 3
)

// eligibleFeature is the feature without which no eligible leader replicas are kept (KIP-966).
const eligibleFeature = "eligible.leader.replicas.version"

// updateFeatures finalizes feature levels, all or none (KIP-584, S141).
func (t *turn) updateFeatures(m *message.UpdateFeatures) *message.Results {
	answer := &message.Results{Problems: make([]message.Problem, len(m.Updates))}
	var records []message.MetadataRecord
	refused := false
	for i, u := range m.Updates {
		p := t.updateFeature(u)
		answer.Problems[i] = p
		refused = refused || p.Code != message.OK
		if t.image().Feature(u.Name) != u.Level {
			records = append(records, &message.FeatureRecord{Name: u.Name, Level: u.Level, Gone: u.Level == 0})
		}
	}
	if !refused && !m.ValidateOnly {
		t.decide(records...)
		t.reconsider()
	}
	return answer
}

func (t *turn) updateFeature(u message.FeatureUpdate) message.Problem {
	why := func(format string, args ...any) message.Problem {
		p := refuse(message.InvalidUpdateVersion, "Invalid update version %d for feature %s. ", u.Level, u.Name)
		p.Message += refuse(0, format, args...).Message
		return p
	}
	known := message.SupportedFeatures()
	at := slices.IndexFunc(known, func(f message.SupportedFeature) bool { return f.Name == u.Name })
	now := t.image().Feature(u.Name)
	switch {
	case u.Type < upgrade || u.Type > unsafeDowngrade:
		return why("The controller does not support the given upgrade type.")
	case u.Level < 0:
		return why("A feature version cannot be less than 0.")
	case at < 0:
		return why("Local controller %d does not support this feature.", t.Node)
	case u.Level < known[at].Min || u.Level > known[at].Max:
		return why("Local controller %d only supports versions %d-%d", t.Node, known[at].Min, known[at].Max)
	case u.Level < now && u.Type == upgrade:
		return why("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.")
	case u.Level > now && u.Type != upgrade:
		return why("Can't downgrade to a newer version.")
	case u.Level < now && u.Name == message.MetadataVersionFeature:
		return why("Refusing to perform the requested downgrade because it might delete metadata information.")
	case u.Level != now && u.Name == message.KRaftVersionFeature:
		return why("The metadata quorum's voters are set when it is founded: there is nothing to upgrade.")
	}
	return message.Problem{}
}
