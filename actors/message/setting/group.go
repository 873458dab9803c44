package setting

import "strings"

// bounded are the settings of a group that the broker's bound: group.consumer.min.session.timeout.ms and its like.
var bounded = []string{
	"consumer.heartbeat.interval.ms", "consumer.session.timeout.ms",
	"share.heartbeat.interval.ms", "share.session.timeout.ms", "share.record.lock.duration.ms", "share.delivery.count.limit", "share.partition.max.record.locks",
	"streams.heartbeat.interval.ms", "streams.session.timeout.ms", "streams.num.standby.replicas",
}

// CheckGroup refuses a group's overrides that are not within the broker's bounds, or whose sessions are not longer than their heartbeats' intervals,
// in Kafka's sentences (GroupConfig.validate).
func (l Layers) CheckGroup(own map[string]string) error {
	for _, name := range bounded {
		if _, set := own[name]; !set {
			continue
		}
		kind, rest, _ := strings.Cut(name, ".")
		n := number(l.value(OfGroup, name, own))
		if least := "group." + kind + ".min." + rest; l.has(least) && n < l.Number(least) {
			return sentencef("%s must be greater than or equal to %s", name, least)
		}
		if most := "group." + kind + ".max." + rest; l.has(most) && n > l.Number(most) {
			return sentencef("%s must be less than or equal to %s", name, most)
		}
	}
	for _, kind := range [...]string{"consumer", "share", "streams"} {
		session, interval := kind+".session.timeout.ms", kind+".heartbeat.interval.ms"
		_, one := own[session]
		_, other := own[interval]
		if (one || other) && number(l.value(OfGroup, session, own)) <= number(l.value(OfGroup, interval, own)) {
			return sentencef("%s must be greater than %s", session, interval)
		}
	}
	return nil
}

func (l Layers) has(name string) bool {
	_, there := Lookup(OfBroker, name)
	return there
}
