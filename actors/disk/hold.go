package disk

import (
	"github.com/troupe-broker/troupe/actors/disk/plan"
	"github.com/troupe-broker/troupe/actors/message"
)

// hold sends partitions whose files are being synced for the checkpoint through the journal, or makes them wait where that
// cannot be: one file must never be synced twice at the same time, because only one of the two would be told of an error.
func (d *Disk) hold() {
	r, room, any := &d.round, d.room(), false
	for _, p := range r.parts {
		if p.flushing == nil {
			continue
		}
		if room -= p.bytes; p.must == plan.Either && room >= 0 {
			p.must = plan.Journal
			continue
		}
		p.held, any = true, true
	}
	if any {
		d.held = append(d.held, d.takeOut(func(p *part) bool { return p.held })...)
	}
}

// takeOut takes partitions out of the round, and returns their commits.
func (d *Disk) takeOut(which func(p *part) bool) (out []*message.Commit) {
	r := &d.round
	commits, owners, parts := r.commits[:0], r.owners[:0], r.parts[:0]
	for i, m := range r.commits {
		if which(r.owners[i]) {
			out = append(out, m)
		} else {
			commits, owners = append(commits, m), append(owners, r.owners[i])
		}
	}
	for _, p := range r.parts {
		if !which(p) {
			parts = append(parts, p)
		}
	}
	r.commits, r.owners, r.parts = commits, owners, parts
	return out
}

// release gives held commits back, in front of what has gathered since.
func (d *Disk) release() {
	if len(d.held) == 0 {
		return
	}
	for _, m := range d.held {
		d.of(m.Partition).held = false
	}
	d.gathering = append(d.held, d.gathering...)
	d.held = nil
}
