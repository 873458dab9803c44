package kafka

import (
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/kafka/session"
)

// answer writes the response and leaves the session as the next request must find it.
func (f *fetch) answer(c stage.Context) {
	f.timer.Stop()
	f.r.conn.reading.parked = nil
	if f.traced != nil {
		f.traced(c.Now())
	}
	w := f.begin(message.OK, f.session.ID)
	named := f.writeTopics(w, f.named())
	f.leave(c)
	f.end(c, w, named)
}

// refuse answers with an error of the whole request.
func (f *fetch) refuse(c stage.Context, code message.Code) {
	w := f.begin(code, 0)
	w.length(0)
	f.end(c, w, nil)
}

func (f *fetch) begin(code message.Code, id int32) writer {
	w := writer{f.r.open(), f.r.flexible()}
	w.int32(0)
	if f.r.Version >= 7 {
		w.int16(int16(code))
		w.int32(id)
	}
	return w
}

func (f *fetch) end(c stage.Context, w writer, named leaders) {
	if w.flexible {
		w.endpoints(f.r, named)
	}
	f.r.close(c, w.Answer)
}

// named are the partitions that the answer has to name: all, or those with news (S38).
func (f *fetch) named() []*session.Partition {
	rd := &f.r.conn.reading
	list := rd.named[:0]
	if f.full {
		for p := range f.session.All {
			list = append(list, p)
		}
	} else {
		for _, p := range f.seen {
			if p.News() && !p.Stale() {
				list = append(list, p)
			}
		}
	}
	rd.named = list
	return list
}

// writeTopics writes the partitions, neighbours of one topic under one name:
//
//	[name | id, [index 4, code 2, high watermark 8, last stable 8, log start 8 (v5), aborted, preferred replica 4 (v11),
//	records]]
func (f *fetch) writeTopics(w writer, list []*session.Partition) (named leaders) {
	w.length(runs(list))
	for len(list) > 0 {
		n := run(list)
		if f.session.ByID {
			w.id(list[0].ID)
		} else {
			w.text(list[0].Name)
		}
		w.length(n)
		for _, p := range list[:n] {
			p.Tell()
			f.write(w, p, &named)
		}
		w.noTags()
		list = list[n:]
	}
	return named
}

// run is how many of the first partitions are of one topic, runs how many such runs there are.
func run(list []*session.Partition) int {
	n := 1
	for n < len(list) && list[n].Name == list[0].Name && list[n].ID == list[0].ID {
		n++
	}
	return n
}

func runs(list []*session.Partition) (count int) {
	for len(list) > 0 {
		list = list[run(list):]
		count++
	}
	return count
}

func (f *fetch) write(w writer, p *session.Partition, named *leaders) {
	o := &p.Out
	code, b := f.code(o), o.Bounds
	if code != message.OK {
		b.HighWatermark, b.LastStable, b.LogStart = -1, -1, -1
	}
	w.int32(p.Index)
	w.int16(int16(code))
	w.int64(b.HighWatermark)
	w.int64(b.LastStable)
	if f.r.Version >= 5 {
		w.int64(b.LogStart)
	}
	f.writeAborted(w, o, code)
	if f.r.Version >= 11 {
		w.int32(int32(preferred(o)))
	}
	w.slice(o.Slice)
	if w.flexible {
		f.writeTags(w, p, code, named)
	}
}

// writeAborted writes the aborted transactions: none is not null (L1), which says that the client does not ask for them (S34).
//
//	[producer 8, first offset 8]
func (f *fetch) writeAborted(w writer, o *session.Outcome, code message.Code) {
	if !f.committed || code != message.OK {
		w.length(-1)
		return
	}
	w.length(len(o.Aborted))
	for _, a := range o.Aborted {
		w.int64(a.Producer)
		w.int64(a.First)
		w.noTags()
	}
}

// preferred is the replica that the client is to read from instead (S40).
func preferred(o *session.Outcome) message.NodeID {
	if o.Elsewhere {
		return o.Closer
	}
	return message.Nobody
}

// code is an outcome's error as the version knows it.
func (f *fetch) code(o *session.Outcome) message.Code {
	if o.Opening || o.Code == message.KafkaStorageError && f.r.Version <= 5 {
		return message.NotLeaderOrFollower
	}
	return o.Code
}

func (f *fetch) writeTags(w writer, p *session.Partition, code message.Code, named *leaders) {
	leads := code == message.NotLeaderOrFollower || code == message.FencedLeaderEpoch
	switch at := &p.Place; {
	case p.Out.Diverging:
		w.uvarint(1)
		w.uvarint(0)
		w.uvarint(13)
		w.int32(p.Out.Epoch)
		w.int64(p.Out.End)
		w.int8(0)
	case leads && f.r.Version >= 16 && at.Leader != message.Nobody:
		named.add(at.Leader)
		w.uvarint(1)
		w.leader(1, at.Leader, at.LeaderEpoch)
	default:
		w.int8(0)
	}
}

// leave puts every partition that was looked at where the next request must find it.
func (f *fetch) leave(c stage.Context) {
	rd := &f.r.conn.reading
	for _, p := range f.seen {
		o := &p.Out
		switch {
		case o.Code != message.OK || o.Diverging || o.Elsewhere || o.Behind || p.Stale():
		case o.Slice.Bytes > 0:
			p.Idle = 0
			f.session.Served(p)
		case rd.asked[p.Place.ID] != nil:
			rd.asked[p.Place.ID].p = p
			f.session.Sleep(p)
		default:
			if p.Idle++; p.Idle >= idleLooks {
				p.Idle = 0
				f.listen(c, p)
				f.session.Sleep(p)
			}
		}
		o.Slice, o.Aborted = message.Slice{}, nil
	}
	clear(f.seen)
	rd.seen = f.seen[:0]
	clear(rd.named)
}
