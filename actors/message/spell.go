package message

// How each word that crosses between nodes spells itself: its fields, in the order of the struct.

func (m *Raft) spell(s *scribe) { s.raw(&m.Message) }

func (m *Pull) spell(s *scribe) {
	number(s, &m.LeaderEpoch)
	number(s, &m.LastEpoch)
	number(s, &m.End)
	number(s, &m.Synced)
	number(s, &m.LogStart)
	number(s, &m.BytesMax)
	number(s, &m.HighWatermark)
}

func (m *Pulled) spell(s *scribe) {
	number(s, &m.Code)
	number(s, &m.LeaderEpoch)
	number(s, &m.HighWatermark)
	number(s, &m.LogStart)
	number(s, &m.DivergingEpoch)
	number(s, &m.DivergingEnd)
	s.raw(&m.Batches) // Gaps is told by the tag
}

func (m *Cramped) spell(s *scribe) { number(s, &m.LeaderEpoch) }

func (m *Mend) spell(s *scribe) {
	number(s, &m.LeaderEpoch)
	number(s, &m.From)
	number(s, &m.Next)
	number(s, &m.BytesMax)
}

func (m *Mended) spell(s *scribe) {
	number(s, &m.Code)
	s.raw(&m.Batches)
}

func (m *BrokerHeartbeat) spell(s *scribe) {
	number(s, &m.Node)
	number(s, &m.Epoch)
	number(s, &m.Applied)
	s.bool(&m.WantShutdown)
}

func (m *BrokerAlive) spell(s *scribe) {
	number(s, &m.Code)
	s.bool(&m.Fenced)
	s.bool(&m.MayShutdown)
	number(s, &m.Index)
}

func (m *AlterPartition) spell(s *scribe) {
	number(s, &m.Node)
	number(s, &m.Epoch)
	list(s, &m.Partitions, func(s *scribe, p *NewISR) {
		s.id(&p.Partition.Topic)
		number(s, &p.Partition.Index)
		number(s, &p.LeaderEpoch)
		number(s, &p.PartitionEpoch)
		list(s, &p.ISR, number)
	})
}

func (m *NotLeading) spell(*scribe) {}

func (m *PartitionsAltered) spell(s *scribe) { list(s, &m.Codes, number) }

func (m *CreateTopics) spell(s *scribe) {
	list(s, &m.Topics, func(s *scribe, t *NewTopic) {
		s.text(&t.Name)
		number(s, &t.Partitions)
		number(s, &t.Replication)
		list(s, &t.Assignment, func(s *scribe, a *Assignment) {
			number(s, &a.Partition)
			list(s, &a.Replicas, number)
		})
		list(s, &t.Configs, spellSetting)
	})
	s.bool(&m.ValidateOnly)
}

func (m *TopicsCreated) spell(s *scribe) {
	list(s, &m.Results, func(s *scribe, t *TopicCreated) {
		spellProblem(s, &t.Problem)
		s.text(&t.Name)
		s.id(&t.ID)
		number(s, &t.Partitions)
		number(s, &t.Replication)
		list(s, &t.Configs, spellSetting)
	})
}

func (m *DeleteTopics) spell(s *scribe) { list(s, &m.Topics, spellTopicRef) }

func (m *TopicsDeleted) spell(s *scribe) {
	list(s, &m.Results, func(s *scribe, t *TopicDeleted) {
		spellProblem(s, &t.Problem)
		spellTopicRef(s, &t.TopicRef)
	})
}

func (m *CreatePartitions) spell(s *scribe) {
	list(s, &m.Topics, func(s *scribe, t *MorePartitions) {
		s.text(&t.Name)
		number(s, &t.Count)
		list(s, &t.Assignment, func(s *scribe, replicas *[]NodeID) { list(s, replicas, number) })
	})
	s.bool(&m.ValidateOnly)
}

func (m *AlterConfigs) spell(s *scribe) {
	list(s, &m.Resources, func(s *scribe, r *AlterResource) {
		number(s, &r.Kind)
		s.text(&r.Name)
		list(s, &r.Ops, func(s *scribe, o *ConfigOp) {
			s.text(&o.Name)
			number(s, &o.Op)
			s.maybe(&o.Value)
		})
	})
	s.bool(&m.Replace)
	s.bool(&m.ValidateOnly)
}

func (m *ElectLeaders) spell(s *scribe) {
	s.bool(&m.Unclean)
	s.bool(&m.All)
	list(s, &m.Partitions, spellNamed)
}

func (m *LeadersElected) spell(s *scribe) {
	list(s, &m.Results, func(s *scribe, l *LeaderElected) {
		spellProblem(s, &l.Problem)
		spellNamed(s, &l.NamedPartition)
	})
}

func (m *UpdateFeatures) spell(s *scribe) {
	list(s, &m.Updates, func(s *scribe, u *FeatureUpdate) {
		s.text(&u.Name)
		number(s, &u.Level)
		number(s, &u.Type)
	})
	s.bool(&m.ValidateOnly)
}

func (m *AllocateProducerIDs) spell(s *scribe) {
	number(s, &m.Broker)
	number(s, &m.Epoch)
}

func (m *ProducerIDs) spell(s *scribe) {
	number(s, &m.Code)
	number(s, &m.First)
	number(s, &m.Count)
}

func (m *AssignNode) spell(*scribe)     {}
func (m *NodeAssigned) spell(s *scribe) { number(s, &m.Node) }

func (m *RegisterBroker) spell(s *scribe) {
	number(s, &m.Node)
	s.id(&m.Incarnation)
	s.id(&m.Directory)
	s.text(&m.Rack)
	list(s, &m.Endpoints, func(s *scribe, e *Endpoint) {
		s.text(&e.Listener)
		s.text(&e.Host)
		number(s, &e.Port)
		s.text(&e.Protocol)
	})
}

func (m *BrokerRegistered) spell(s *scribe) {
	spellProblem(s, &m.Problem)
	number(s, &m.Epoch)
}

func (m *DescribeQuorum) spell(*scribe) {}

func (m *QuorumDescribed) spell(s *scribe) {
	number(s, &m.Leader)
	number(s, &m.Term)
	number(s, &m.HighWatermark)
	list(s, &m.Voters, spellMember)
	list(s, &m.Observers, spellMember)
}

func (m *ReassignPartitions) spell(s *scribe) {
	list(s, &m.Partitions, func(s *scribe, r *Reassignment) {
		spellNamed(s, &r.NamedPartition)
		list(s, &r.Replicas, number)
	})
	s.bool(&m.KeepReplicationFactor)
}

func (m *UnregisterBroker) spell(s *scribe) { number(s, &m.Node) }

func (m *Results) spell(s *scribe) { list(s, &m.Problems, spellProblem) }

func (m *Mark) spell(s *scribe) {
	number(s, &m.Producer)
	number(s, &m.Epoch)
	number(s, &m.CoordinatorEpoch)
	s.bool(&m.Commit)
	number(s, &m.Version)
}

func (m *Marked) spell(s *scribe) {
	number(s, &m.Code)
	s.text(&m.Message)
	number(s, &m.Offset)
}

func (m *Enlist) spell(s *scribe) {
	s.text(&m.TransactionalID)
	number(s, &m.Producer)
	number(s, &m.Epoch)
	list(s, &m.Partitions, spellNamed)
	s.bool(&m.VerifyOnly)
}

func (m *Enlisted) spell(s *scribe) {
	number(s, &m.Code)
	s.text(&m.Message)
	list(s, &m.Codes, number)
}

func (m *Uncoordinated) spell(s *scribe) { number(s, &m.Code) }

func spellProblem(s *scribe, p *Problem) {
	number(s, &p.Code)
	s.text(&p.Message)
}

func spellSetting(s *scribe, v *Setting) {
	s.text(&v.Name)
	s.maybe(&v.Value)
}

func spellTopicRef(s *scribe, t *TopicRef) {
	s.text(&t.Name)
	s.id(&t.ID)
}

func spellNamed(s *scribe, p *NamedPartition) {
	s.text(&p.Topic)
	number(s, &p.Index)
}

func spellMember(s *scribe, m *QuorumMember) {
	number(s, &m.Node)
	s.id(&m.DirectoryID)
	number(s, &m.LogEnd)
	number(s, &m.LastFetch)
	number(s, &m.LastCaughtUp)
}
