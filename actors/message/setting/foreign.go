package setting

import (
	"slices"
	"strings"
)

// Foreign says that Kafka knows a broker setting that means nothing here, in any version since 3.0 or as a plugin's:
// a copied server.properties may name it.
func Foreign(name string) bool {
	if _, found := slices.BinarySearch(foreign, name); found {
		return true
	}
	for _, p := range foreignPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

var foreignPrefixes = []string{"confluent.", "kafka.metrics.", "listener.name.", "metrics.", "principal.", "remote.log.", "rsm.config.", "rlmm.config.", "sasl.", "security.", "ssl.", "zookeeper."}

// foreign is in ascending order.
var foreign = []string{
	"add.partitions.to.txn.retry.backoff.max.ms",
	"add.partitions.to.txn.retry.backoff.ms",
	"alter.log.dirs.replication.quota.window.num",
	"alter.log.dirs.replication.quota.window.size.seconds",
	"broker.id.generation.enable",
	"config.providers",
	"connection.failed.authentication.delay.ms",
	"control.plane.listener.name",
	"controller.performance.always.log.threshold.ms",
	"controller.performance.sample.period.ms",
	"controller.quorum.append.linger.ms",
	"controller.quorum.auto.join.enable",
	"controller.quorum.election.backoff.max.ms",
	"controller.quorum.fetch.max.bytes",
	"controller.quorum.fetch.snapshot.max.bytes",
	"controller.quorum.retry.backoff.ms",
	"controller.quota.window.num",
	"controller.quota.window.size.seconds",
	"controller.socket.timeout.ms",
	"delegation.token.expiry.check.interval.ms",
	"delete.records.purgatory.purge.interval.requests",
	"fetch.purgatory.purge.interval.requests",
	"follower.fetch.last.tiered.offset.enable",
	"group.consumer.max.assignment.interval.ms",
	"group.consumer.min.assignment.interval.ms",
	"group.coordinator.append.linger.ms",
	"group.coordinator.background.threads",
	"group.coordinator.cached.buffer.max.bytes",
	"group.coordinator.threads",
	"group.share.assignors",
	"group.share.initialize.retry.interval.ms",
	"group.share.max.assignment.interval.ms",
	"group.share.max.delivery.count.limit",
	"group.share.max.heartbeat.interval.ms",
	"group.share.max.partition.max.record.locks",
	"group.share.max.session.timeout.ms",
	"group.share.min.assignment.interval.ms",
	"group.share.min.delivery.count.limit",
	"group.share.min.heartbeat.interval.ms",
	"group.share.min.partition.max.record.locks",
	"group.share.min.session.timeout.ms",
	"group.share.persister.class.name",
	"group.streams.max.assignment.interval.ms",
	"group.streams.max.heartbeat.interval.ms",
	"group.streams.max.session.timeout.ms",
	"group.streams.max.standby.replicas",
	"group.streams.min.assignment.interval.ms",
	"group.streams.min.heartbeat.interval.ms",
	"group.streams.min.session.timeout.ms",
	"inter.broker.protocol.version",
	"internal.metadata.delete.delay.millis",
	"internal.metadata.log.segment.bytes",
	"internal.metadata.max.batch.size.in.bytes",
	"log.message.downconversion.enable",
	"log.message.format.version",
	"log.message.timestamp.difference.max.ms",
	"metadata.log.segment.ms",
	"metadata.max.idle.interval.ms",
	"offsets.commit.required.acks",
	"offsets.load.buffer.size",
	"offsets.topic.compression.codec",
	"password.encoder.secret",
	"producer.purgatory.purge.interval.requests",
	"replication.quota.window.num",
	"replication.quota.window.size.seconds",
	"reserved.broker.max.id",
	"server.max.startup.time.ms",
	"share.coordinator.append.linger.ms",
	"share.coordinator.cached.buffer.max.bytes",
	"share.coordinator.cold.partition.snapshot.interval.ms",
	"share.coordinator.load.buffer.size",
	"share.coordinator.snapshot.update.records.per.snapshot",
	"share.coordinator.state.topic.compression.codec",
	"share.coordinator.state.topic.prune.interval.ms",
	"share.coordinator.state.topic.segment.bytes",
	"share.coordinator.threads",
	"share.coordinator.write.timeout.ms",
	"share.fetch.purgatory.purge.interval.requests",
	"socket.connection.setup.timeout.max.ms",
	"socket.connection.setup.timeout.ms",
	"transaction.state.log.load.buffer.size",
}
