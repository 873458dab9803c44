package disk

import (
	"math"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// What a directory's logs may take for being compacted is shared out here: turns, memory and the disk's time. The work is each
// replica's own, which alone knows its log.
//
//	Soiled ─▶ cleaner (brain) ─▶ Compact ─▶ the replica ─▶ Compacted ─▶ the next

// Compactions is what compaction has done since the start.
type Compactions struct {
	Passes, Failed uint64
	Read, Written  uint64 // bytes
	Freed          uint64
	Last           time.Time // when a pass has ended last
	Took           time.Duration
	Dirtiest       float64 // the largest share of a log that no pass has been through
	Uncleanable    int     // logs that cannot be compacted
}

// clean takes new settings.
func (d *Disk) clean(c stage.Context, m *message.Cleaner) {
	d.settings = *m
	threads := max(m.Threads, 0)
	if !m.Enabled {
		threads = 0
	}
	d.cleaner.Allow(threads)
	d.compactNext(c)
}

func (d *Disk) soiled(c stage.Context, m *message.Soiled) {
	d.cleaner.Soiled(m)
	d.compactNext(c)
	d.publishLater(c)
}

// compactNext gives everybody a turn who may have one now.
func (d *Disk) compactNext(c stage.Context) {
	for !d.closed && d.closing.IsZero() {
		id, ok := d.cleaner.Next()
		if !ok {
			return
		}
		share := int64(max(d.settings.Threads, 1))
		c.Send(home(c, id), &message.Compact{MapBytes: max(d.settings.MapBytes/share, 1), MapLoad: d.settings.MapLoad, Block: d.settings.Block,
			BytesPerSecond: min(d.settings.BytesPerSecond, math.MaxFloat64) / float64(share)})
	}
}

func (d *Disk) compacted(c stage.Context, m *message.Compacted) {
	d.cleaner.Ended(m.Partition, m.Failed)
	s := &d.stats.Compactions
	s.Read, s.Written, s.Freed = s.Read+uint64(m.Read), s.Written+uint64(m.Written), s.Freed+uint64(max(m.Freed, 0))
	if m.Whole {
		s.Passes++
		s.Last, s.Took = c.Now(), m.Took
	}
	if m.Failed {
		s.Failed++
	}
	d.publishLater(c)
	d.compactNext(c)
}
