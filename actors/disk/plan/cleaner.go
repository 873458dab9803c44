package plan

import (
	"cmp"
	"slices"

	"github.com/troupe-broker/troupe/actors/message"
)

// Cleaner decides which of a disk's logs are compacted, and when: those that are overdue first, then the filthiest, so many at once. It
// knows no log; they say themselves how dirty they are, and when they are done.
type Cleaner struct {
	threads int
	logs    map[message.PartitionID]*soiled
	order   []*soiled // the same, in an order that can be repeated
	running int
	failed  int
}

// soiled is a log that has said how dirty it is.
type soiled struct {
	message.Soiled
	running bool
	failed  bool // it cannot be compacted
}

// Allow says how many may be compacted at once; 0 none.
func (k *Cleaner) Allow(threads int) { k.threads = threads }

// Soiled takes a log's word on how dirty it is.
func (k *Cleaner) Soiled(m *message.Soiled) {
	s, known := k.logs[m.Partition]
	if !known {
		if k.logs == nil {
			k.logs = map[message.PartitionID]*soiled{}
		}
		s = &soiled{}
		k.logs[m.Partition] = s
		k.order = append(k.order, s)
	}
	if s.Soiled = *m; s.failed {
		s.failed, k.failed = false, k.failed-1
	}
}

// Next is the log whose turn it is; ok is false if none is due or enough are at it.
func (k *Cleaner) Next() (id message.PartitionID, ok bool) {
	if k.running >= k.threads {
		return id, false
	}
	waiting := func(s *soiled) bool { return s.Due && !s.running }
	i := slices.IndexFunc(k.order, waiting)
	if i < 0 {
		return id, false
	}
	first := k.order[i]
	for _, s := range k.order[i+1:] {
		if waiting(s) && before(s, first) < 0 {
			first = s
		}
	}
	first.running = true
	k.running++
	return first.Partition, true
}

// before compares whose turn comes first.
func before(a, b *soiled) int {
	if a.Overdue != b.Overdue {
		if a.Overdue {
			return -1
		}
		return 1
	}
	return cmp.Or(-cmp.Compare(a.Ratio, b.Ratio), -cmp.Compare(a.Bytes, b.Bytes))
}

// Ended notes that a log's turn is over. It says itself when it is due again.
func (k *Cleaner) Ended(id message.PartitionID, failed bool) {
	s := k.logs[id]
	if s == nil {
		return
	}
	if s.running {
		k.running--
	}
	if s.running, s.Due, s.Overdue = false, false, false; failed && !s.failed {
		s.failed, k.failed = true, k.failed+1
	}
}

// Forget drops what is known of a log that begins anew, or is gone.
func (k *Cleaner) Forget(id message.PartitionID) {
	s := k.logs[id]
	if s == nil {
		return
	}
	k.Ended(id, false)
	if s.failed {
		k.failed--
	}
	delete(k.logs, id)
	k.order = slices.DeleteFunc(k.order, func(o *soiled) bool { return o == s })
}

// Dirtiest is the largest share of a log that no compaction has been through, from 0 to 1.
func (k *Cleaner) Dirtiest() (ratio float64) {
	for _, s := range k.order {
		ratio = max(ratio, s.Ratio)
	}
	return ratio
}

// Failed is how many logs cannot be compacted.
func (k *Cleaner) Failed() int { return k.failed }
