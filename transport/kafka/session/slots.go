package session

import "time"

// KeepAtLeast is how long a session is safe: from any other after it was used last, from a larger one after it was made.
const KeepAtLeast = 2 * time.Minute

// Slot is one session's place in the node's bounded cache.
type Slot struct {
	ID    int32
	Owner uint64 // the connection's number
	Size  int    // partitions

	made, used time.Time
}

// Slots decide which sessions may live, at most Max at a time (max.incremental.fetch.session.cache.slots).
type Slots struct {
	Max int

	slots []*Slot // in the order they were taken
	byID  map[int32]*Slot
}

// Take finds a slot for a new session. id is a proposal, which is raised until it is free. Where all slots are taken, the
// one that has been silent longest goes, if for more than KeepAtLeast, or else the smallest one that is older than that
// and smaller than the new one (KIP-227). Without either there is no slot: ok is false.
func (s *Slots) Take(now time.Time, id int32, owner uint64, size int) (slot *Slot, evicted *Slot, ok bool) {
	if len(s.slots) >= s.Max {
		if evicted = s.victim(now, size); evicted == nil {
			return nil, nil, false
		}
		s.Give(evicted.ID)
	}
	for id <= 0 || s.byID[id] != nil {
		if id++; id <= 0 {
			id = 1
		}
	}
	slot = &Slot{ID: id, Owner: owner, Size: size, made: now, used: now}
	if s.byID == nil {
		s.byID = map[int32]*Slot{}
	}
	s.byID[id] = slot
	s.slots = append(s.slots, slot)
	return slot, evicted, true
}

// victim is the session that has to make room for one of size partitions, nil if none has.
func (s *Slots) victim(now time.Time, size int) *Slot {
	var stalest, smallest *Slot
	for _, slot := range s.slots {
		if now.Sub(slot.used) > KeepAtLeast && (stalest == nil || slot.used.Before(stalest.used)) {
			stalest = slot
		}
		if now.Sub(slot.made) > KeepAtLeast && slot.Size < size && (smallest == nil || slot.Size < smallest.Size) {
			smallest = slot
		}
	}
	if stalest != nil {
		return stalest
	}
	return smallest
}

// Use notes that a session was used and how large it is now.
func (s *Slots) Use(now time.Time, id int32, size int) {
	if slot := s.byID[id]; slot != nil {
		slot.used, slot.Size = now, size
	}
}

// Give returns a slot; one that is not taken is no mistake.
func (s *Slots) Give(id int32) {
	slot := s.byID[id]
	if slot == nil {
		return
	}
	delete(s.byID, id)
	for i := range s.slots {
		if s.slots[i] == slot {
			s.slots = append(s.slots[:i], s.slots[i+1:]...)
			return
		}
	}
}

// Len is how many sessions live.
func (s *Slots) Len() int { return len(s.slots) }
