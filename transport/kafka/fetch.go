package kafka

import (
	"errors"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/kafka/session"
)

const fetchKey = 1

// Fetch reads record batches. Versions below 4 are of message formats 0 and 1. v7 has sessions (KIP-227), v9 leader epochs
// (KIP-320), v10 zstd, v11 the client's rack (KIP-392), v12 is flexible and finds diverging logs (KIP-595), v13 names topics
// by id (KIP-516), v16 names the new leader (KIP-951).
var fetchAPI = api{key: fetchKey, min: 4, max: 18, start: onFetch,
	shape: "4@0-14 4 4 4 1 4@7+ 4@7+ ( s@0-12 16@13+ ( 4 4@9+ 8 4@12+ 8@5+ 4 ) ) ( s@0-12 16@13+ [4] )@7+ s@11+"}

// openPatience is how much longer than max_wait a fetch waits for partitions that have not yet opened their logs.
const openPatience = 5 * time.Second

// idleLooks is how many looks in a row may find a partition empty before it is asked for news instead.
const idleLooks = 4

// fetch is one Fetch request.
//
//	decode ─▶ session ─▶ look at what is queued ─▶ enough: answer
//	                        ▲                └─▶ not: ask for news, park ─▶ news, or max_wait ─┐
//	                        └──────────────────────────────────────────────────────────────────┘
type fetch struct {
	r         *Request
	image     *image.Image
	session   *session.Session
	minBytes  int
	maxBytes  int
	committed bool   // read_committed
	full      bool   // every partition is named in the answer, not only those with news
	rack      string // of the client, where it may be sent to a replica there (KIP-392)
	wait      time.Duration
	traced    func(at time.Time)

	look    uint64
	seen    []*session.Partition // looked at, in the order of the answer
	bytes   int                  // of what was found
	urgent  bool                 // there is an error to tell, or a divergence
	opening int                  // partitions without a view
	expired bool                 // max_wait is over
	overdue bool                 // and the patience with partitions that open
	timer   stage.Timer
}

func onFetch(c stage.Context, r *Request) {
	f, code := r.conn.readFetch(c, r)
	if code != message.OK {
		f.refuse(c, code)
		return
	}
	if tracer := r.conn.opts.Tracer; tracer != nil {
		_, f.traced = tracer.Begin("Fetch", c.Now())
	}
	for p := range f.session.Queue {
		if !f.full && f.bytes > 0 && f.bytes >= f.maxBytes {
			break
		}
		f.visit(c, p)
	}
	f.settle(c)
}

// settle answers the fetch if it can be answered, else parks it.
func (f *fetch) settle(c stage.Context) {
	if f.satisfied() {
		f.answer(c)
		return
	}
	for _, p := range f.seen {
		f.listen(c, p)
	}
	patience := max(f.wait, 0)
	if f.expired {
		patience = openPatience
	}
	f.r.conn.reading.parked = f
	f.timer = c.After(patience, &waited{f})
}

// waited is a fetch's word to itself: max_wait is over, or the patience with partitions that open.
type waited struct{ fetch *fetch }

func (f *fetch) waited(c stage.Context) {
	f.overdue, f.expired = f.expired, true
	f.settle(c)
}

// satisfied says that the client need not wait any longer (S30). A full answer names every partition, so it needs them
// all to have opened.
func (f *fetch) satisfied() bool {
	if f.full && f.opening > 0 {
		return f.overdue
	}
	return f.urgent || f.expired || f.wait <= 0 || f.session.Len() == 0 || f.bytes >= f.minBytes
}

// woken looks at a partition that has news.
func (f *fetch) woken(c stage.Context, p *session.Partition) {
	f.image = f.r.conn.latest(c, f.image)
	f.visit(c, p)
	if f.satisfied() {
		f.answer(c)
		return
	}
	f.listen(c, p)
}

// listen has the fetch told of news of a partition.
func (f *fetch) listen(c stage.Context, p *session.Partition) {
	if p.Out.Code == message.OK && !p.Out.Opening && !p.Out.Elsewhere {
		f.r.conn.ask(c, p, p.Out.Bounds)
	}
}

// visit looks at a partition and counts what is found.
func (f *fetch) visit(c stage.Context, p *session.Partition) {
	if p.Look == f.look {
		f.bytes -= p.Out.Slice.Bytes
	} else {
		p.Look = f.look
		f.seen = append(f.seen, p)
	}
	p.Out = f.inspect(c, p)
	f.bytes += p.Out.Slice.Bytes
	f.urgent = f.urgent || p.Out.Code != message.OK || p.Out.Diverging || p.Out.Elsewhere
	if p.Out.Opening {
		f.opening++
		f.session.Sleep(p)
		f.r.conn.ask(c, p, message.Bounds{HighWatermark: -1}).opening = f
	}
}

// inspect finds what a partition has for the client.
func (f *fetch) inspect(c stage.Context, p *session.Partition) session.Outcome {
	failed := p.Failed
	p.Failed = message.OK
	f.locate(p)
	at := &p.Place
	switch {
	case at.Code != message.OK:
		return session.Outcome{Code: at.Code}
	case at.Leader != f.r.Node() && !(at.Follower && f.r.Version >= followerReads):
		return session.Outcome{Code: fence(p.LeaderEpoch, at.LeaderEpoch, message.NotLeaderOrFollower)}
	case failed != message.OK:
		return session.Outcome{Code: failed}
	}
	view, _ := c.Published(message.PartitionAt(f.r.Node(), at.ID)).(message.View)
	if view == nil {
		return session.Outcome{Opening: true}
	}
	return f.examine(c, p, view)
}

// locate looks a partition up in the metadata, unless that has been done since it changed.
func (f *fetch) locate(p *session.Partition) {
	if p.Place.Image == f.image {
		return
	}
	p.Place = session.Place{Image: f.image}
	t, code := findTopic(f.image, p.Name, p.ID, f.session.ByID)
	if p.Place.Code = code; code != message.OK {
		return
	}
	at := t.Partition(p.Index)
	if at == nil {
		p.Place.Code = message.UnknownTopicOrPartition
		return
	}
	p.Place.ID, p.Place.Leader, p.Place.LeaderEpoch = t.At(p.Index), at.Leader, at.LeaderEpoch
	p.Place.Follower = at.Leader != f.r.Node() && at.IsReplica(f.r.Node()) && f.image.Alive(f.r.Node())
}

// fence compares the leader epoch that a client believes in with ours (S36); it is otherwise if they agree, or if the
// client does not say.
func fence(theirs, ours int32, otherwise message.Code) message.Code {
	switch {
	case theirs >= 0 && theirs < ours:
		return message.FencedLeaderEpoch
	case theirs > ours:
		return message.UnknownLeaderEpoch
	}
	return otherwise
}

// examine reads a partition's view: epochs, bounds, then batches.
func (f *fetch) examine(c stage.Context, p *session.Partition, view message.View) session.Outcome {
	b := view.Bounds()
	if !b.IsLeader && !p.Place.Follower {
		return session.Outcome{Code: fence(p.LeaderEpoch, b.LeaderEpoch, message.NotLeaderOrFollower)}
	}
	if code := fence(p.LeaderEpoch, b.LeaderEpoch, message.OK); code != message.OK {
		return session.Outcome{Code: code}
	}
	if p.Place.Follower && p.Offset > b.LogEnd {
		return session.Outcome{Code: message.OffsetNotAvailable}
	}
	if p.LastFetchedEpoch >= 0 {
		epoch, end := view.EpochEnd(p.LastFetchedEpoch)
		if epoch < 0 {
			return session.Outcome{Code: message.OffsetOutOfRange}
		}
		if epoch < p.LastFetchedEpoch || end < p.Offset {
			return session.Outcome{Bounds: b, Diverging: true, Epoch: epoch, End: end}
		}
	}
	if p.Offset < b.LogStart || p.Offset > b.LogEnd {
		return session.Outcome{Code: message.OffsetOutOfRange}
	}
	if f.rack != "" && !p.Place.Follower && p.Offset <= b.HighWatermark {
		if n := f.closer(p.Place.ID); n != message.Nobody {
			return session.Outcome{Bounds: b, Elsewhere: true, Closer: n}
		}
	}
	return f.read(c, p, view, b)
}

// read takes batches while there is room. The first partition with data gives one batch at least (S31).
func (f *fetch) read(c stage.Context, p *session.Partition, view message.View, b message.Bounds) session.Outcome {
	limit := b.HighWatermark
	if f.committed {
		limit = b.LastStable
	}
	if planted.Is(planted.FetchAboveMark) {
		limit = b.LogEnd
	}
	out := session.Outcome{Bounds: b}
	if p.Offset >= limit {
		return out
	}
	room := min(int(p.MaxBytes), f.maxBytes-f.bytes)
	if room <= 0 && f.bytes > 0 {
		out.Behind = true
		return out
	}
	slice, err := full(view, p.Offset, limit, max(room, 0), f.bytes == 0)
	if err != nil {
		return session.Outcome{Code: f.r.conn.readFailed(c, p, err)}
	}
	out.Slice, out.Behind = slice, slice.Bytes == 0
	f.urgent = f.urgent || slice.Bytes > 0 && slice.Next < limit // there is more, in the next file or beyond the limit: time brings none of it
	if f.committed && slice.Bytes > 0 {
		if out.Aborted, err = view.Aborted(p.Offset, slice.Next); err != nil {
			return session.Outcome{Code: f.r.conn.readFailed(c, p, err)}
		}
	}
	return out
}

// full is what view.Read finds, without emptied batches at its end: there are clients that take an answer which ends with one for one that has nothing,
// and look elsewhere. Where there are no others up to the limit, they must do: the reader has to come behind them.
func full(view message.View, offset, limit int64, most int, oneAtLeast bool) (message.Slice, error) {
	found, err := view.Read(offset, limit, most, oneAtLeast)
	for s := found; err == nil && s.Bytes > 0; {
		if trimmed := view.Trimmed(s); trimmed.Bytes > 0 {
			return trimmed, nil
		}
		if s, err = view.Read(s.Next, limit, most, oneAtLeast); err != nil {
			return found, nil // who comes there is told
		}
	}
	return found, err
}

// readFailed names in the log what is damaged, once, and finds the code for the client.
func (k *connection) readFailed(c stage.Context, p *session.Partition, err error) message.Code {
	if errors.Is(err, message.ErrOffsetOutOfRange) {
		return message.OffsetOutOfRange
	}
	if why := err.Error(); k.reading.damaged != why {
		k.reading.damaged = why
		c.Log().Error("a fetch met bytes that cannot be read", "partition", p.Place.ID, "offset", p.Offset, "client", k.client, "why", err)
	}
	if damage := (*message.Damaged)(nil); errors.As(err, &damage) {
		c.Send(message.PartitionAt(k.opts.Node, p.Place.ID), damage)
		return message.CorruptMessage
	}
	return message.KafkaStorageError
}
