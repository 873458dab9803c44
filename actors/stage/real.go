package stage

import "time"

// Real is the stage of a real node.
type Real struct {
	*house
	driver *crew
}

// NewReal starts a stage: its workers wait for actors.
func NewReal(o Options) *Real {
	o = o.withDefaults()
	d := &crew{start: time.Now(), pool: newPool(o.Workers), jobs: newJobs(o.Offloads)}
	d.jobs.visit = d.visit
	return &Real{house: newHouse(o, d, newSystem()), driver: d}
}

// Close is part of Stage. It also waits for offloaded work and ends the workers.
func (r *Real) Close() {
	r.house.Close()
	r.driver.jobs.wait()
	r.driver.pool.close()
}

// crew drives cells by goroutines and the machine's clock.
type crew struct {
	start time.Time
	pool  *pool
	jobs  *jobs
}

func (d *crew) now() time.Time { return time.Now() }
func (d *crew) ticks() int64   { return int64(time.Since(d.start)) + 1 }

func (d *crew) ready(c, by *cell) {
	if by == nil || by.on == nil {
		d.pool.put(c, true)
		return
	}
	by.on.offer(c)
}

func (d *crew) visit(c *cell) { d.pool.visit(c) }

func (d *crew) alarm(c *cell, at int64) {
	in := time.Duration(at - d.ticks())
	if c.clock == nil {
		c.clock = time.AfterFunc(in, func() { c.post(&envelope{kind: kindAlarm}, nil) })
		return
	}
	c.clock.Reset(in)
}

func (d *crew) later(c *cell, delay time.Duration) {
	time.AfterFunc(delay, func() { d.pool.put(c, true) })
}

func (d *crew) disarm(c *cell) {
	if c.clock != nil {
		c.clock.Stop()
	}
}

func (d *crew) offload(c *cell, id uint64, _ time.Duration, work func() any) {
	d.jobs.put(job{cell: c, id: id, work: work})
}

func (d *crew) await(ended <-chan struct{}, n int) {
	for range n {
		<-ended
	}
}
