package partition

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/log"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// compaction is how this replica's log is compacted, each replica's for itself: it says how dirty it is, the disk says whose turn it is,
// and then the work goes on elsewhere, step by step, while records come and go here.
//
//	tidy ─▶ Soiled ─▶ disk ─▶ Compact ─▶ (step elsewhere ─▶ stepped ─▶ pause) again and again ─▶ Compacted ─▶ disk
//	                                        └▶ a segment is ready ─▶ swap elsewhere ─▶ swapped ─▶ the log uses it
//
// Who must cut, mend or delete calls the pass off; what it has put in place until then stays.
type compaction struct {
	looking bool           // a tidy is on its way
	told    message.Soiled // what the disk was told last
	pass    *log.Cleaning  // nil: none
	working bool           // a step is under way, or a swap
	ask     message.Compact
	began   time.Time
	before  int64 // bytes of the log when it began
	stuck   bool  // the log cannot be compacted: it is left alone until it is opened again
	sealed  int   // segments of the log when it was looked at last
}

// Messages to self, and what comes back from work elsewhere.
type (
	tidy    struct{} // is there something to be compacted?
	stepOn  struct{ pass *log.Cleaning }
	dropOld struct{} // nobody reads any more what was replaced
	dropped struct{ err error }
	settled struct{ err error }
	stepped struct {
		pass  *log.Cleaning
		over  bool
		moved int64
		began time.Time
		err   error
	}
	swapped struct {
		pass *log.Cleaning
		err  error
	}
)

const (
	// stepCost is what a stage may expect of a step for each byte of it.
	stepCost = 5 * time.Nanosecond
	swapCost = 2 * time.Millisecond
	// stepBlocks is how many blocks a step reads and writes.
	stepBlocks = 2
)

// compacts says that this log is to be compacted at all.
func (p *Partition) compacts() bool {
	t := &p.replica.Office().Config
	return t.CleanupCompact && t.CleanerBackoff >= 0 && !p.compaction.stuck
}

// tidySoon has the log looked at, unless nothing was sealed since it was looked at last.
func (p *Partition) tidySoon(c stage.Context) {
	if k := &p.compaction; p.compacts() && k.pass == nil && !k.looking && p.phase == open && p.log.Sealed() != k.sealed {
		p.tidyIn(c, p.replica.Office().Config.CleanerBackoff)
	}
}

func (p *Partition) tidyIn(c stage.Context, d time.Duration) {
	p.compaction.looking = true
	c.After(min(d, flushNever), &tidy{})
}

// tidy looks how dirty the log is, and tells the disk.
func (p *Partition) tidy(c stage.Context) {
	k := &p.compaction
	k.looking = false
	if p.phase != open || !p.compacts() || k.pass != nil {
		return
	}
	dirt, due, err := p.dirt(c)
	if err != nil {
		c.Log().Warn("the log cannot be looked at for compaction", "topic", p.replica.Office().Name, "err", err)
		return
	}
	k.sealed = p.log.Sealed()
	p.soil(c, dirt, due)
	if wait := p.ripe(dirt, c.Now()); wait > 0 && !k.told.Due {
		p.tidyIn(c, max(wait, p.replica.Office().Config.CleanerBackoff))
	}
}

// dirt is what a pass could do now: below what is stable and synced here.
func (p *Partition) dirt(c stage.Context) (d log.Dirt, overdue bool, err error) {
	t := &p.replica.Office().Config
	stable := min(p.replica.HighWatermark(), p.replica.SyncedEnd())
	if p.visible {
		stable = min(stable, p.seen.LastStable)
	}
	if planted.Is(planted.CompactedAhead) {
		stable = p.log.End()
	}
	d, err = p.log.Dirt(stable, lagOf(t.MinCompactionLagMillis), c.Now())
	overdue = d.Dirty > 0 && !d.Oldest.IsZero() && c.Now().Sub(d.Oldest) > lagOf(t.MaxCompactionLagMillis)
	return d, overdue, err
}

// lagOf is a setting in milliseconds that may be far beyond what a duration holds.
func lagOf(millis int64) time.Duration {
	return time.Duration(min(millis, int64(flushNever/time.Millisecond)*100)) * time.Millisecond
}

// ripe is after how long there may be something to do that there is not now; 0 if never.
func (p *Partition) ripe(d log.Dirt, now time.Time) (wait time.Duration) {
	if !d.Ripe.IsZero() {
		wait = d.Ripe.Sub(now) + time.Millisecond
	}
	if most := lagOf(p.replica.Office().Config.MaxCompactionLagMillis); d.Dirty > 0 && !d.Oldest.IsZero() && most < flushNever {
		if until := d.Oldest.Add(most).Sub(now) + time.Millisecond; wait == 0 || until < wait {
			wait = max(until, time.Millisecond)
		}
	}
	if d.Dirty == 0 && d.Ripe.IsZero() && p.log.Sealed() > 0 && d.End < p.log.SealedEnd() { // it is not committed or synced yet
		wait = max(p.replica.Office().Config.CleanerBackoff, time.Millisecond)
	}
	return wait
}

// soil tells the disk, unless it would hear nothing new.
func (p *Partition) soil(c stage.Context, d log.Dirt, overdue bool) {
	k, o := &p.compaction, p.replica.Office()
	outgrown := o.Internal && d.Dirty > d.Clean // see rolling
	m := message.Soiled{Partition: p.post.ID, Ratio: d.Ratio(), Bytes: d.Dirty, Overdue: overdue,
		Due: d.Dirty > 0 && (overdue || outgrown || d.Ratio() > o.Config.MinCleanableDirtyRatio)}
	if m == k.told {
		return
	}
	k.told = m
	c.Send(p.post.Disk, &m)
}

// compact begins a pass: it is this log's turn.
func (p *Partition) compact(c stage.Context, m *message.Compact) {
	k := &p.compaction
	k.told = message.Soiled{}
	if k.pass != nil {
		return
	}
	if p.phase != open || !p.compacts() {
		c.Send(p.post.Disk, &message.Compacted{Partition: p.post.ID})
		return
	}
	d, _, err := p.dirt(c)
	if err == nil && d.Dirty > 0 {
		k.pass, err = p.log.Clean(p.cleanOptions(c, d.End, m))
	}
	if err != nil || k.pass == nil {
		c.Send(p.post.Disk, &message.Compacted{Partition: p.post.ID, Failed: err != nil})
		return
	}
	k.ask, k.began, k.before, p.post.pass = *m, c.Now(), p.log.Bytes(), k.pass
	p.step(c)
}

func (p *Partition) cleanOptions(c stage.Context, end int64, m *message.Compact) log.CleanOptions {
	o := log.CleanOptions{End: end, MapBytes: m.MapBytes, MapLoad: m.MapLoad, Block: m.Block, Now: c.Now(), Producers: p.producers.Remembered(),
		DeleteRetention: lagOf(p.replica.Office().Config.DeleteRetentionMillis)}
	for i := range o.Secret {
		o.Secret[i] = byte(c.Rand().Uint32())
	}
	return o
}

// stepBytes is how much one step reads and writes: less if the rate is low, so that it is kept to evenly.
func (k *compaction) stepBytes() int64 {
	bytes := max(k.ask.Block, 1) * stepBlocks
	if tenth := k.ask.BytesPerSecond / 10; tenth > 0 && tenth < float64(bytes) {
		bytes = max(int64(tenth), 1)
	}
	return bytes
}

func (p *Partition) step(c stage.Context) {
	k := &p.compaction
	k.working = true
	pass, bytes, began := k.pass, k.stepBytes(), c.Now()
	c.Offload(time.Duration(bytes)*stepCost, func() any {
		over, moved, err := pass.Step(bytes)
		return &stepped{pass: pass, over: over, moved: moved, began: began, err: err}
	})
}

// stepped goes on with the pass, after a pause if it would be too fast.
func (p *Partition) stepped(c stage.Context, m *stepped) {
	k := &p.compaction
	if m.pass != k.pass {
		return
	}
	k.working = false
	switch {
	case p.called(c):
	case m.err != nil:
		p.endPass(c, m.err, false)
	case m.over:
		p.log.Finished(k.pass)
		p.endPass(c, nil, true)
	case k.pass.Ready():
		p.swap(c)
	default:
		p.pace(c, m)
	}
}

// called ends a pass that was called off, and lets go on who waits for that.
func (p *Partition) called(c stage.Context) bool {
	if p.phase == open && !p.compaction.pass.Left() {
		return false
	}
	p.endPass(c, log.ErrLeft, false)
	switch p.phase {
	case cutting:
		p.cutOnceSynced(c)
	case leaving:
		p.departOnceSynced(c)
	}
	return true
}

// pace keeps to the rate.
func (p *Partition) pace(c stage.Context, m *stepped) {
	k := &p.compaction
	if rate := k.ask.BytesPerSecond; rate > 0 {
		due := time.Duration(float64(m.moved) / rate * float64(time.Second))
		if wait := due - c.Now().Sub(m.began); wait > 0 {
			c.After(wait, &stepOn{k.pass})
			return
		}
	}
	p.step(c)
}

func (p *Partition) stepOn(c stage.Context, m *stepOn) {
	switch {
	case m.pass != p.compaction.pass || p.compaction.working:
	case !p.called(c):
		p.step(c)
	}
}

// swap puts a segment in its place, elsewhere, unless the log has changed there.
func (p *Partition) swap(c stage.Context) {
	k := &p.compaction
	if !p.log.Fits(k.pass) {
		p.endPass(c, log.ErrLeft, false)
		return
	}
	k.working = true
	pass := k.pass
	c.Offload(swapCost, func() any { return &swapped{pass, pass.Swap()} })
}

// swapped uses the segment. Readers go on with what they hold, until file.delete.delay.ms has passed.
func (p *Partition) swapped(c stage.Context, m *swapped) {
	k := &p.compaction
	if m.pass != k.pass {
		return
	}
	k.working = false
	if m.err == nil {
		p.log.Exchange(k.pass)
		c.After(min(lagOf(p.replica.Office().Config.FileDeleteDelayMillis), flushNever), &dropOld{})
	}
	switch {
	case m.err != nil && !errors.Is(m.err, log.ErrLeft):
		p.fail(c, m.err) // what opens the log next finishes it
	case p.called(c):
	case m.err != nil:
		p.endPass(c, m.err, false)
	default:
		if p.visible {
			p.show(c)
		}
		p.step(c)
	}
}

// endPass tells the disk what has become of the pass.
func (p *Partition) endPass(c stage.Context, err error, whole bool) {
	k := &p.compaction
	pass, count := k.pass, k.pass.Count()
	k.pass, k.working, p.post.pass = nil, false, nil
	done := &message.Compacted{Partition: p.post.ID, Read: count.Read, Written: count.Written, Freed: count.Before - count.After, Took: c.Now().Sub(k.began), Whole: whole}
	name := p.replica.Office().Name
	switch {
	case err == nil:
		c.Log().Info("the log was compacted", "topic", name, "up to", count.UpTo, "read", count.Read, "written", count.Written, "freed", done.Freed, "took", done.Took)
	case errors.Is(err, log.ErrLeft):
	case vfs.NoRoom(err):
		c.Log().Warn("the log cannot be compacted until the disk has room", "topic", name, "err", err)
	default:
		c.Log().Error("the log cannot be compacted and is left alone", "topic", name, "err", err)
		k.stuck, done.Failed = true, true
	}
	c.Send(p.post.Disk, done)
	if err != nil {
		c.Offload(swapCost, func() any { return &settled{pass.Settle()} })
	}
	if p.phase == open && p.compacts() && !k.looking {
		p.tidyIn(c, p.replica.Office().Config.CleanerBackoff)
	}
}

// leavePass calls the pass off. It says whether nothing of it is under way: else it ends by itself, soon.
func (p *Partition) leavePass(c stage.Context) (idle bool) {
	k := &p.compaction
	if k.pass == nil {
		return true
	}
	if k.pass.Leave(); k.working {
		return false
	}
	p.endPass(c, log.ErrLeft, false)
	return true
}

// forsakePass ends the pass with this instance: the next one waits for what is under way.
func (p *Partition) forsakePass() {
	if p.compaction.pass != nil {
		p.compaction.pass.Leave()
	}
}

// busy says that the log stays open, to be compacted.
func (k *compaction) busy() bool { return k.pass != nil || k.looking || k.told.Due }

// dropReplaced deletes files whose place others have taken.
func (p *Partition) dropReplaced(c stage.Context) {
	if p.log == nil {
		return
	}
	if drop := p.log.Replaced(); drop != nil {
		c.Offload(removeCost, func() any { return &dropped{drop()} })
	}
}

func (p *Partition) dropped(c stage.Context, err error) {
	if err != nil {
		c.Log().Warn("files that compaction has left over are still there", "topic", p.replica.Office().Name, "err", err)
	}
}

// rollAge is how old a segment gets: a compacted topic's no older than what compaction may put off.
func rollAge(segmentMillis int64, compact bool, lagMillis int64) time.Duration {
	if compact {
		segmentMillis = min(segmentMillis, lagMillis)
	}
	return time.Duration(segmentMillis) * time.Millisecond
}

var errGaps = errors.New("the leader's log is compacted")

// allowGaps lets the log have what the leader's has: offsets that are missing.
func (p *Partition) allowGaps(m *message.Pulled) error {
	if !m.Gaps || len(m.Batches) == 0 {
		return nil
	}
	if err := p.log.AllowGaps(); err != nil {
		return fmt.Errorf("%w: %w", errGaps, err)
	}
	return nil
}
