package message

// SupportedFeature is a feature that this program knows (KIP-584): the levels that it understands, and the one that a new
// cluster begins with.
type SupportedFeature struct {
	Name            string
	Min, Max, Fresh int16
}

// MetadataVersionFeature and KRaftVersionFeature are the features with rules of their own.
const (
	MetadataVersionFeature = "metadata.version"
	KRaftVersionFeature    = "kraft.version"
)

// SupportedFeatures are the features of Kafka 4.3 by ascending name (S141). Of metadata.version 7 is 3.3-IV3 and 30 is
// 4.3-IV0.
func SupportedFeatures() []SupportedFeature {
	return []SupportedFeature{
		{Name: "eligible.leader.replicas.version", Min: 0, Max: 1, Fresh: 1},
		{Name: "group.version", Min: 0, Max: 1, Fresh: 1},
		{Name: KRaftVersionFeature, Min: 0, Max: 1, Fresh: 0},
		{Name: MetadataVersionFeature, Min: 7, Max: 30, Fresh: 30},
		{Name: "share.version", Min: 0, Max: 1, Fresh: 1},
		{Name: "streams.version", Min: 0, Max: 1, Fresh: 1},
		{Name: TransactionVersionFeature, Min: 0, Max: 2, Fresh: 2},
	}
}
