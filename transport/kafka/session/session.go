// Package session is the brain behind Fetch: what a client wants to read, what it was told last, and which of its
// partitions have to be looked at again (KIP-227), so that a fetch over a thousand partitions costs what has changed in them.
// It reads nothing and sends nothing.
package session

import "github.com/troupe-broker/troupe/actors/message"

// Session is the set of partitions that a client fetches. Those worth a look are in its queue, in the order in which they
// are to be served: one with data goes to the back once it was served (S39), one without leaves the queue until somebody
// has news of it.
//
//	Set ─▶ queue ─▶ look ─▶ data: Served, to the back of the queue
//	         ▲        └─▶ none: Sleep ─▶ news: Wake ─┐
//	         └────────────────────────────────────────┘
type Session struct {
	ID    int32 // 0: none
	Epoch int32 // of the next request
	ByID  bool  // the partitions are named by topic id

	all         []*Partition // in the order in which they were asked for first, stale ones included
	stale       int
	byKey       map[Key]*Partition
	first, last *Partition
	full        int // counts full requests
}

// New is a session without partitions.
func New() *Session { return &Session{byKey: map[Key]*Partition{}} }

// Full begins a request that names every partition there shall be: Set them, then Settle. What is known of partitions
// that stay is kept, but for what the client was told.
func (s *Session) Full() { s.full++ }

// Settle ends a full request: partitions that it did not name are forgotten.
func (s *Session) Settle() {
	for _, p := range s.all {
		if !p.stale && p.full != s.full {
			s.drop(p)
		}
	}
	s.sweep()
}

// Set adds a partition, or changes what is wanted of it. Either makes it worth a look. Name may lie in the request.
func (s *Session) Set(name []byte, id message.TopicID, index int32, w Want) {
	p := s.byKey[Key{Name: string(name), ID: id, Index: index}]
	if p == nil {
		p = &Partition{Key: Key{Name: string(name), ID: id, Index: index}, told: untold, full: s.full}
		s.byKey[p.Key] = p
		s.all = append(s.all, p)
	} else if p.full != s.full {
		p.full, p.told = s.full, untold
		s.unlink(p)
	}
	p.Want = w
	s.Wake(p)
}

// Forget removes a partition that the client does not want any more.
func (s *Session) Forget(name []byte, id message.TopicID, index int32) {
	if p := s.byKey[Key{Name: string(name), ID: id, Index: index}]; p != nil {
		s.drop(p)
	}
	if s.stale > len(s.all)/2 {
		s.sweep()
	}
}

func (s *Session) drop(p *Partition) {
	delete(s.byKey, p.Key)
	s.unlink(p)
	p.stale = true
	s.stale++
}

func (s *Session) sweep() {
	if s.stale == 0 {
		return
	}
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

// All are the partitions in the order in which they were asked for first.
func (s *Session) All(yield func(*Partition) bool) {
	for _, p := range s.all {
		if !p.stale && !yield(p) {
			return
		}
	}
}

// Queue are the partitions worth a look, the next first. The one that is yielded may leave the queue meanwhile.
func (s *Session) Queue(yield func(*Partition) bool) {
	for p := s.first; p != nil; {
		next := p.next
		if !yield(p) {
			return
		}
		p = next
	}
}

// Wake puts a partition at the end of the queue, if it is not in it already.
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
}

// Sleep takes a partition out of the queue: there is nothing to see in it until it is woken.
func (s *Session) Sleep(p *Partition) { s.unlink(p) }

// Served puts a partition whose data the client was given behind those that wait for their turn.
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
}

// Advance counts a request of the session. From the largest number epochs go on at 1 (S38).
func (s *Session) Advance() {
	if s.Epoch++; s.Epoch <= 0 {
		s.Epoch = 1
	}
}
