package sim

import (
	"math/rand/v2"
	"slices"

	"github.com/troupe-broker/troupe/sim/workload"
)

// drawCompaction has some topics of every third world compacted, and the offsets of groups. A damaged log is not: what is left of it is
// another in each copy, so that nobody can mend it.
func (s *Scenario) drawCompaction(r *rand.Rand) {
	if r.IntN(3) > 0 || s.damages() {
		return
	}
	s.Broker["log.cleaner.backoff.ms"] = pick(r, "2", "10", "50")
	s.Broker["log.cleaner.io.buffer.size"] = pick(r, "200", "1000", "524288")
	s.Broker["log.cleaner.dedupe.buffer.size"] = pick(r, "400", "1000", "100000")
	if r.IntN(3) == 0 {
		s.Broker["log.cleaner.io.max.bytes.per.second"] = pick(r, "20000", "200000")
	}
	if r.IntN(2) == 0 {
		s.Broker["offsets.topic.segment.bytes"], s.Broker["transaction.state.log.segment.bytes"] = "20000", "20000"
	}
	for i := range s.Topics {
		if t := &s.Topics[i]; (i == 0 || r.IntN(2) == 0) && !s.marked(i) {
			t.compact(r)
		}
	}
	s.drawMarkers(stream(s.Seed, "markers"))
}

// drawMarkers has topics compacted to which transactions are written, and the markers of those go sooner. A follower that was away for longer
// than that would not hear of a transaction's end.
func (s *Scenario) drawMarkers(r *rand.Rand) {
	for i := range s.Topics {
		if !s.marked(i) || r.IntN(2) == 0 {
			continue
		}
		if s.Topics[i].compact(r); s.nodes() > 1 {
			s.Topics[i].Configs["delete.retention.ms"] = "86400000"
		}
	}
	if s.nodes() == 1 && r.IntN(2) == 0 {
		s.Broker["log.cleaner.delete.retention.ms"] = pick(r, "200", "1000")
		s.Broker["offsets.topic.segment.bytes"] = pick(r, "4000", "20000")
	}
}

// marked says that somebody writes transactions to a topic.
func (s *Scenario) marked(topic int) bool {
	return slices.ContainsFunc(s.Clients, func(c workload.Spec) bool { return c.Kind == workload.Marking && c.Topic == topic })
}

// compact draws how a topic is compacted.
func (t *Topic) compact(r *rand.Rand) {
	c := t.Configs
	if c["cleanup.policy"] = pick(r, "compact", "compact", "compact", "compact,delete"); c["cleanup.policy"] == "compact" {
		delete(c, "retention.ms")
		delete(c, "retention.bytes")
	}
	c["segment.bytes"] = pick(r, "2048", "2048", "2048", "4096")
	c["min.cleanable.dirty.ratio"] = pick(r, "0", "0.1", "0.3", "0.5")
	c["delete.retention.ms"] = pick(r, "0", "100", "100", "1000", "86400000")
	c["file.delete.delay.ms"] = pick(r, "0", "50", "60000")
	if r.IntN(4) == 0 {
		c["min.compaction.lag.ms"] = pick(r, "20", "200")
	}
	if r.IntN(4) == 0 {
		c["max.compaction.lag.ms"] = pick(r, "100", "500")
	}
}
