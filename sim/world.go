package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/sim/check"
	"github.com/troupe-broker/troupe/sim/workload"
)

// world is one run of a scenario: a node, its clients, and the faults between them.
type world struct {
	scenario  *Scenario
	scheduler *stage.Scheduler
	history   *check.History
	node      *machine
	topics    []*check.Topic
	clients   []workload.Client
	nemesis   *nemesis
	streams   map[string]*rand.Rand
	frames    int // requests that the node holds
	trace     func(line string)
}

// epoch is when every world begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Now is part of workload.World.
func (w *world) Now() time.Duration { return w.scheduler.Elapsed() }

// Millis is part of workload.World.
func (w *world) Millis() int64 { return w.scheduler.Now().UnixMilli() }

// After is part of workload.World.
func (w *world) After(d time.Duration, do func()) { w.scheduler.After(d, do) }

// Rand is part of workload.World.
func (w *world) Rand(name string) *rand.Rand {
	r, ok := w.streams[name]
	if !ok {
		r = stream(w.scenario.Seed, "world/"+name)
		w.streams[name] = r
	}
	return r
}

// Note is part of workload.World.
func (w *world) Note(format string, args ...any) {
	if w.trace != nil {
		w.trace(fmt.Sprintf("%12.6f %s", w.Now().Seconds(), fmt.Sprintf(format, args...)))
	}
}

func (w *world) note(format string, args ...any) { w.Note(format, args...) }

// until steps until a condition holds, which is looked at every now and then; false if it does not within the bound, or
// if something is broken.
func (w *world) until(bound time.Duration, holds func() bool) bool {
	end := w.Now() + bound
	for w.Now() < end && w.history.Violation() == nil {
		if holds() {
			return true
		}
		w.scheduler.RunFor(5 * time.Millisecond)
		if w.scheduler.Steps() > stepsMax {
			w.history.Fail(check.EveryoneServed, "The world has taken %d steps in %v and does not come to an end.", stepsMax, w.Now())
		}
	}
	return w.history.Violation() == nil && holds()
}

const stepsMax = 5_000_000

// complaints hears what the node logs.
type complaints struct {
	world *world
	attrs []slog.Attr
}

// Enabled is part of slog.Handler.
func (c *complaints) Enabled(_ context.Context, level slog.Level) bool {
	return c.world.trace != nil || level >= slog.LevelError
}

// Handle is part of slog.Handler.
func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	if c.world.trace != nil {
		line := r.Message
		for _, a := range c.attrs {
			line += " " + a.String()
		}
		r.Attrs(func(a slog.Attr) bool {
			line += " " + a.String()
			return true
		})
		c.world.note("log %s: %s", r.Level, line)
	}
	return nil
}

// WithAttrs is part of slog.Handler.
func (c *complaints) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &complaints{world: c.world, attrs: append(c.attrs[:len(c.attrs):len(c.attrs)], attrs...)}
}

// WithGroup is part of slog.Handler.
func (c *complaints) WithGroup(string) slog.Handler { return c }
