package kafka

import (
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/kafka/session"
)

// What a request can have against its session (S37).
const (
	sessionNotFound   message.Code = 70
	sessionEpochWrong message.Code = 71
	sessionMixesIDs   message.Code = 106
)

// Session epochs with a meaning of their own.
const (
	sessionBegins = 0
	sessionEnds   = -1 // and the request is outside of any
)

// readFetch reads a request into the connection's session. A client has one at most; what is not in a session goes through
// the same partitions all the same, which then stand for one request only.
func (k *connection) readFetch(c stage.Context, r *Request) (*fetch, message.Code) {
	d := reader{r.Body, r.flexible()}
	rd := &k.reading
	if rd.session == nil {
		rd.session = session.New()
	}
	rd.looks++
	f := &fetch{r: r, image: r.Image, session: rd.session, look: rd.looks, seen: rd.seen[:0]}
	if r.Version <= 14 {
		d.int32() // the replica: whoever asks here reads as a client does (L16)
	}
	f.wait = time.Duration(d.int32()) * time.Millisecond
	minBytes, maxBytes := int(d.int32()), int(d.int32())
	f.maxBytes = max(min(maxBytes, k.resolve(r.Image).door.fetchBytesMax), 0)
	f.minBytes = min(minBytes, f.maxBytes) // or it could never be reached (S32)
	f.committed = d.int8() == 1
	id, epoch := int32(0), int32(sessionEnds)
	if r.Version >= 7 {
		id, epoch = d.int32(), d.int32()
	}
	if f.full = epoch == sessionBegins || epoch == sessionEnds; f.full {
		k.replaceSession(c, r, &d, epoch)
	} else if code := k.continueSession(c, r, &d, id, epoch); code != message.OK {
		return f, code
	}
	if r.Version >= followerReads && k.resolve(r.Image).door.nearest {
		f.rack = string(d.text())
	}
	return f, message.OK
}

// replaceSession takes a request that names all it wants.
func (k *connection) replaceSession(c stage.Context, r *Request, d *reader, epoch int32) {
	s := k.reading.session
	if s.ID != 0 {
		k.opts.Sessions.give(s.ID)
		s.ID = 0
	}
	s.ByID = r.Version >= 13
	s.Full()
	readWants(r, d, s)
	s.Settle()
	if r.Version >= 7 {
		readForgotten(d, s.ByID, func([]byte, message.TopicID, int32) {})
	}
	if epoch == sessionBegins {
		s.ID, s.Epoch = k.opts.Sessions.take(c, s.Len()), 1
	}
}

// continueSession takes a request that names what has changed.
func (k *connection) continueSession(c stage.Context, r *Request, d *reader, id, epoch int32) message.Code {
	s := k.reading.session
	switch {
	case s.ID == 0 || s.ID != id:
		return sessionNotFound
	case s.Epoch != epoch:
		return sessionEpochWrong
	case s.ByID != (r.Version >= 13):
		return sessionMixesIDs
	}
	readWants(r, d, s)
	readForgotten(d, s.ByID, s.Forget)
	s.Advance()
	k.opts.Sessions.use(c.Now(), s.ID, s.Len())
	return message.OK
}

// readForgotten reads which partitions a session shall not have any more.
func readForgotten(d *reader, byID bool, forget func(name []byte, topic message.TopicID, index int32)) {
	for n := d.length(); n > 0; n-- {
		name, topic := readTopicName(d, byID)
		for m := d.length(); m > 0; m-- {
			forget(name, topic, d.int32())
		}
		d.tags()
	}
}

func readTopicName(d *reader, byID bool) (name []byte, id message.TopicID) {
	if byID {
		return nil, d.id()
	}
	return d.text(), id
}

// readWants reads the topics of a request.
func readWants(r *Request, d *reader, s *session.Session) {
	for n := d.length(); n > 0; n-- {
		name, id := readTopicName(d, s.ByID)
		for m := d.length(); m > 0; m-- {
			index, want := readWant(d, r.Version)
			s.Set(name, id, index, want)
		}
		d.tags()
	}
}

func readWant(d *reader, version int16) (index int32, w session.Want) {
	w.LeaderEpoch, w.LastFetchedEpoch = -1, -1
	index = d.int32()
	if version >= 9 {
		w.LeaderEpoch = d.int32()
	}
	w.Offset = d.int64()
	if version >= 12 {
		w.LastFetchedEpoch = d.int32()
	}
	if version >= 5 {
		d.int64() // the log start: followers say it
	}
	w.MaxBytes = max(d.int32(), 0)
	d.tags()
	return index, w
}
