// Package session is the brain behind Fetch: what a client wants to read, what it was told last, and which of its
// partitions have to be looked at again (KIP-227), so that a fetch over a thousand partitions costs what has changed in them.
// It reads nothing and sends nothing.
package session

// Session is the set of partitions that a client fetches. Those worth a look are in its queue, in the order in which they
// are to be served: one with data goes to the back once it was served (S39), one without leaves the queue until somebody
// has news of it (Wake).
//
//	Set ─▶ queue ─▶ look ─▶ data: Served, to the back of the queue
//	         ▲          └─▶ none: Sleep ─▶ news: Wake ─┐
//	         └──────────────────────────────────────────┘
type Session struct {
	ID    int32 // 0: it is only for one request
	Epoch int32 // of the next request
	ByID  bool  // the partitions are named by topic id

	all         []*Partition // in the order of the requests, stale ones included
	stale       int
	byKey       map[Key]*Partition
	first, last *Partition
	queued      int
}

// New is a session without partitions.
func New(byID bool) *Session { return &Session{ByID: byID, byKey: map[Key]*Partition{}} }

// Set adds a partition, or changes what is wanted of it. Either makes it worth a look.
func (s *Session) Set(k Key, w Want) {
	p := s.byKey[k]
	if p == nil {
		p = &Partition{Key: k, told: untold}
		s.byKey[k] = p
		s.all = append(s.all, p)
	}
	p.Want = w
	s.Wake(p)
}

// Find is the partition of that key, nil if it is not in the session.
func (s *Session) Find(k Key) *Partition { return s.byKey[k] }

// Forget removes a partition.
func (s *Session) Forget(k Key) {
	p := s.byKey[k]
	if p == nil {
		return
	}
	delete(s.byKey, k)
	s.unlink(p)
	p.stale = true
	if s.stale++; s.stale > len(s.all)/2 {
		s.sweep()
	}
}

func (s *Session) sweep() {
	kept := s.all[:0]
	for _, p := range s.all {
		if !p.stale {
			kept = append(kept, p)
		}
	}
	clear(s.all[len(kept):])
	s.all, s.stale = kept, 0
}

// Len is how many partitions there are.
func (s *Session) Len() int { return len(s.byKey) }

// All are the partitions in the order in which they were first asked for.
func (s *Session) All(yield func(*Partition) bool) {
	for _, p := range s.all {
		if !p.stale && !yield(p) {
			return
		}
	}
}

// Queue are the partitions worth a look, the next first. The one that is yielded may leave the queue meanwhile; what is
// queued meanwhile comes up too.
func (s *Session) Queue(yield func(*Partition) bool) {
	for p := s.first; p != nil; {
		next := p.next
		if !yield(p) {
			return
		}
		p = next
	}
}

// Wake puts a partition at the end of the queue if it is not in it.
func (s *Session) Wake(p *Partition) {
	if p.queued || p.stale {
		return
	}
	p.queued, p.prev, p.next = true, s.last, nil
	if s.last != nil {
		s.last.next = p
	} else {
		s.first = p
	}
	s.last = p
	s.queued++
}

// Sleep takes a partition out of the queue: there is nothing to see in it until it is woken.
func (s *Session) Sleep(p *Partition) { s.unlink(p) }

// Served puts a partition whose data the client was given behind those that are waiting for their turn.
func (s *Session) Served(p *Partition) {
	s.unlink(p)
	s.Wake(p)
}

func (s *Session) unlink(p *Partition) {
	if !p.queued {
		return
	}
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		s.first = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		s.last = p.prev
	}
	p.queued, p.prev, p.next = false, nil, nil
	s.queued--
}

// Advance counts a request of the session. Epochs go from the largest number to 1 (S38).
func (s *Session) Advance() {
	if s.Epoch++; s.Epoch <= 0 {
		s.Epoch = 1
	}
}

// End makes every partition stale.
func (s *Session) End() {
	for _, p := range s.all {
		p.stale = true
	}
}
