package check

import "github.com/troupe-broker/troupe/persistence/record"

// span is offsets of batches that lie together.
type span struct{ first, next int64 }

// Damaged notes that the disk has changed bytes of the batches from one offset up to another.
func (h *History) Damaged(p *Partition, first, next int64) {
	h.Damage = true
	p.damage = append(p.damage, span{first, next})
}

// IsDamaged says that the batch at an offset may be unreadable.
func (p *Partition) IsDamaged(offset int64) bool {
	for _, s := range p.damage {
		if s.first <= offset && offset < s.next {
			return true
		}
	}
	return false
}

// HasDamage says that the disk has damaged some of it.
func (p *Partition) HasDamage() bool { return len(p.damage) > 0 }

// DamagedTo is where the last of what the disk has damaged ends; 0 if there is none.
func (p *Partition) DamagedTo() (offset int64) {
	for _, s := range p.damage {
		offset = max(offset, s.next)
	}
	return offset
}

// Unreadable notes that an offset was answered as damaged: it has to be.
func (h *History) Unreadable(p *Partition, offset int64) {
	if !p.IsDamaged(offset) {
		h.Fail(DamageIsNamed, "%s: offset %d is answered as damaged, and what is damaged is %v.", p, offset, p.damage)
	}
}

// spoiled says that a batch that should hold an offset is not what was produced, and that whoever reads it can tell: the
// disk has damaged it.
func (h *History) spoiled(p *Partition, b record.Batch, offset int64) bool {
	if !p.IsDamaged(offset) {
		return false
	}
	size := b.Size()
	if size < record.HeaderSize || size > len(b) {
		return true
	}
	b = b[:size]
	known := h.known(p, b)
	return b.Checksum() != b.CRC() || known == nil || known.Partition != p || offset < b.BaseOffset() || offset >= b.NextOffset()
}
