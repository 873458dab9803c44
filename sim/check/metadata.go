package check

import "slices"

// Described is a topic as a broker describes it.
type Described struct {
	Name   string
	ID     [16]byte
	Code   int
	Epochs []int32 // of the leaders, by partition
}

// Expected is what a broker must know of a topic when it is asked now.
type Expected struct {
	Topic      *Topic
	Partitions int
	State      TopicState
}

// Expect is what must be so from now on, as far as clients know.
func (h *History) Expect() (topics []Expected, floors map[*Partition]Floor) {
	floors = map[*Partition]Floor{}
	for _, t := range h.Topics {
		topics = append(topics, Expected{t, len(t.Partitions), t.State})
		for _, p := range t.Partitions {
			floors[p] = h.Floor(p)
		}
	}
	return topics, floors
}

// Described checks a description of all topics that was asked for when these were expected.
func (h *History) Described(expected []Expected, floors map[*Partition]Floor, topics []Described) {
	for _, e := range expected {
		t, found := e.Topic, (*Described)(nil)
		for i := range topics {
			if d := &topics[i]; d.Name == t.Name && (d.ID == t.ID || t.ID == [16]byte{} && !h.mayBeAnother(t)) {
				found = d
			}
		}
		switch {
		case e.State == Wanted && t.State == Wanted && found != nil && found.Code == 0: // who sees it may rely on it
			t.ID = found.ID
			h.Became(t, Exists)
		case h.lenient() && (found == nil || found.Code != 0 || e.State != Exists || t.State != Exists || len(found.Epochs) < e.Partitions):
		case e.State == Unwanted && t.State == Unwanted && found == nil && t.ID != [16]byte{}: // likewise
			h.Became(t, Ended)
		case e.State == Exists && t.State == Exists && (found == nil || found.Code != 0):
			h.Fail(TopicIsKept, "%s (%x) is not among the %d topics.", t.Name, t.ID, len(topics))
		case e.State == Exists && t.State == Exists:
			h.describedPartitions(e, floors, found)
		case e.State == Ended && t.ID != [16]byte{} && found != nil:
			h.Fail(TopicIsGone, "%s (%x) is there again.", t.Name, t.ID)
		}
	}
}

// mayBeAnother says that a topic of that name need not be this one: a node may not know yet that an earlier one has ended.
func (h *History) mayBeAnother(t *Topic) bool {
	return h.lenient() && slices.ContainsFunc(h.Topics, func(other *Topic) bool { return other != t && other.Name == t.Name })
}

func (h *History) describedPartitions(e Expected, floors map[*Partition]Floor, d *Described) {
	e.Topic.ID = d.ID
	h.Grew(e.Topic, len(d.Epochs))
	if len(d.Epochs) < e.Partitions {
		h.Fail(TopicIsKept, "%s has %d partitions, it had %d.", d.Name, len(d.Epochs), e.Partitions)
		return
	}
	for i, p := range e.Topic.Partitions[:e.Partitions] {
		h.Epoch(p, floors[p].Epoch, d.Epochs[i])
	}
}
