package node

import (
	"time"

	"github.com/troupe-broker/troupe/actors/broker"
	"github.com/troupe-broker/troupe/actors/controller"
	"github.com/troupe-broker/troupe/actors/coordinator"
	"github.com/troupe-broker/troupe/actors/coordinator/brain"
	"github.com/troupe-broker/troupe/actors/coordinator/group"
	"github.com/troupe-broker/troupe/actors/coordinator/txn"
	"github.com/troupe-broker/troupe/actors/disk"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/actors/partition"
	"github.com/troupe-broker/troupe/actors/stage"
)

// Parts are what a node's actors are made from, whatever stage they stand on.
type Parts struct {
	Config   *Config
	Spans    message.Spans // of traced requests; nil: nobody traces
	Parallel int           // files that are synced at a time; 0 is the disk's default, simulation wants 1
	// Directory is the id of the data directory.
	Directory message.TopicID
	// Contacts are nodes of the metadata quorum, for a node that is no member of it yet.
	Contacts []message.NodeID
	// Cluster is the id of the cluster; empty: a new one draws its own.
	Cluster string
}

// Raise spawns a node's actors, those first that the others rest on: stage.Close stops them in the opposite order.
// The real node and the simulator both call it, and nobody else spawns these.
func Raise(s stage.Stage, p Parts) {
	l := p.Config.Layers()
	n := s.Node()
	s.Spawn(message.DiskAt(n), disk.New(disk.Options{
		FileBytes: l.Number("journal.file.bytes"),
		Files:     int(l.Number("journal.files")),
		Parallel:  p.Parallel,
		Spans:     p.Spans,
	}))
	s.Spawn(message.ControllerAt(n), func() stage.Actor {
		return controller.New(controller.Options{
			Directory:     p.Directory,
			Contacts:      p.Contacts,
			Cluster:       p.Cluster,
			Static:        p.Config.Values,
			SnapshotBytes: l.Number("metadata.log.max.record.bytes.between.snapshots"),
		})
	})
	replica, groups, transactions := p.replica(l), groupSettings(l), txnSettings(l)
	s.Spawn(message.BrokerAt(n), func() stage.Actor {
		return broker.New(broker.Options{
			Directory: p.Directory,
			Rack:      p.Config.Rack,
			Endpoints: p.Config.endpoints(),
			Static:    p.Config.Values,
			NewPartition: func(id message.PartitionID, l *message.Leadership) func() stage.Actor {
				o := replica
				o.ID, o.Leadership = id, l
				return partition.New(o)
			},
			NewCoordinator: func(topic string, id message.PartitionID) func() stage.Actor {
				o := coordinator.Options{ID: id, Static: p.Config.Values, RecordMax: groups.RecordMax, AppendPatience: l.Millis("offsets.commit.timeout.ms")}
				switch topic {
				case message.GroupsTopic:
					o.New = func(at brain.Place) brain.Brain { return group.New(groups, nil, at) }
				case message.TransactionsTopic:
					o.New = func(at brain.Place) brain.Brain { return txn.New(transactions, at) }
				default:
					return nil
				}
				return coordinator.New(o)
			},
		})
	})
}

// replica is what all of the node's replicas are told.
func (p *Parts) replica(l setting.Layers) partition.Options {
	return partition.Options{
		Spans:     p.Spans,
		LagMax:    l.Millis("replica.lag.time.max.ms"),
		PullBytes: int32(l.Number("replica.fetch.max.bytes")),
		Resident:  resident(l),
		PauseMax:  l.Millis("replica.fetch.backoff.ms"),
	}
}

// resident is how much of a copy stays in the system's memory: all of it where consumers read from followers.
func resident(l setting.Layers) int64 {
	if l.ReadsNearby() {
		return -1
	}
	return l.Number("replica.resident.bytes")
}

// groupSettings are what groups are bound by.
func groupSettings(l setting.Layers) group.Settings {
	return group.Settings{
		InitialDelay:   l.Millis("group.initial.rebalance.delay.ms"),
		SessionMin:     l.Millis("group.min.session.timeout.ms"),
		SessionMax:     l.Millis("group.max.session.timeout.ms"),
		SizeMax:        int(l.Number("group.max.size")),
		MetadataMax:    int(l.Number("offset.metadata.max.bytes")),
		RecordMax:      int(l.Number("message.max.bytes")) * 9 / 10,
		Retention:      time.Duration(l.Number("offsets.retention.minutes")) * time.Minute,
		RetentionCheck: l.Millis("offsets.retention.check.interval.ms"),
		Consumer: group.ConsumerSettings{
			SizeMax:    int(l.Number("group.consumer.max.size")),
			Assignors:  l.Strings("group.consumer.assignors"),
			Upgrades:   migrates(l, "upgrade"),
			Downgrades: migrates(l, "downgrade"),
		},
	}
}

// txnSettings are what transactions are bound by.
func txnSettings(l setting.Layers) txn.Settings {
	return txn.Settings{
		TimeoutMax:    l.Millis("transaction.max.timeout.ms"),
		AbortCheck:    l.Millis("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
		Retention:     l.Millis("transactional.id.expiration.ms"),
		RetentionScan: l.Millis("transaction.remove.expired.transaction.cleanup.interval.ms"),
	}
}

// migrates says that groups with members may change their protocol that way.
func migrates(l setting.Layers, way string) bool {
	policy := l.Text("group.consumer.migration.policy")
	return policy == way || policy == "bidirectional"
}

// endpoints are what clients are told to connect to.
func (c *Config) endpoints() []message.Endpoint {
	all := make([]message.Endpoint, len(c.Listeners))
	for i, l := range c.Listeners {
		all[i] = l.Advertised
	}
	return all
}
