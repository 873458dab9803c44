package kafka

import (
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// answer writes the response:
//
//	[topic: name | id, [partition: index 4, code 2, base offset 8, append time 8, log start 8 (v5),
//	[record error: index 4, message] message (v8)]] throttle 4
func (p *produce) answer(c stage.Context) {
	var named leaders
	w := writer{p.r.open(), p.r.flexible()}
	w.length(len(p.topics))
	at := 0
	for i := range p.topics {
		t := &p.topics[i]
		if p.r.Version >= 13 {
			w.id(t.id)
		} else {
			w.text(string(t.name))
		}
		w.length(t.parts)
		for range t.parts {
			p.write(w, &p.parts[at], &named)
			at++
		}
		w.noTags()
	}
	w.int32(0)
	if w.flexible {
		w.endpoints(p.r, named)
	}
	p.r.close(c, w.Answer)
}

func (p *produce) write(w writer, part *producedPart, named *leaders) {
	a := &part.result
	w.int32(part.index)
	w.int16(int16(a.Code))
	w.int64(a.BaseOffset)
	w.int64(a.LogAppendTime)
	if p.r.Version >= 5 {
		w.int64(a.LogStart)
	}
	if p.r.Version >= 8 {
		w.length(len(a.RecordErrors))
		for _, e := range a.RecordErrors {
			w.int32(e.Index)
			w.note(e.Message)
			w.noTags()
		}
		w.note(a.Message)
	}
	if !w.flexible {
		return
	}
	if p.r.Version >= 10 && a.Code == message.NotLeaderOrFollower && a.Leader != message.Nobody {
		named.add(a.Leader)
		w.uvarint(1)
		w.leader(0, a.Leader, a.LeaderEpoch)
		return
	}
	w.int8(0)
}
