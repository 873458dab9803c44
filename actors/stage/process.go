package stage

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/asynkron/protoactor-go/actor"
)

// process is a cell as proto.actor sees it: the actor, which never changes, and its mailbox.
//
//	Spawn ─▶ proto.actor's context ─▶ Start ─▶ run ─▶ InvokeUserMessage ─▶ Receive ─▶ our actor
//	                                             └─ panic ─▶ EscalateFailure ─▶ supervisor ─▶ Restart | Stop
type process cell

// raise makes proto.actor's context around the cell, which then gets Started.
func (c *cell) raise() {
	p := (*process)(c)
	props := *c.house.template
	props.Configure(
		actor.WithProducer(func() actor.Actor { return p }),
		actor.WithMailbox(func() actor.Mailbox { return p }))
	system := c.house.system
	if _, err := system.Root.SpawnNamed(&props, system.ProcessRegistry.NextId()); err != nil {
		panic(fmt.Sprintf("stage: a number was given twice: %v", err))
	}
}

// RegisterHandlers is part of actor.Mailbox. proto.actor's dispatcher would take a closure for every wake-up; our driver
// takes the cell.
func (p *process) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	p.invoker = invoker
}

// PostSystemMessage is part of actor.Mailbox. Only proto.actor calls it: before Start, and from within run. System messages
// go before all others, so there is nothing to suspend.
func (p *process) PostSystemMessage(m any) {
	switch m.(type) {
	case *actor.SuspendMailbox, *actor.ResumeMailbox:
	default:
		p.system = append(p.system, m)
	}
}

// Start is part of actor.Mailbox.
func (p *process) Start() { p.house.driver.ready((*cell)(p), nil) }

// PostUserMessage is part of actor.Mailbox; nobody has the PID to send to.
func (p *process) PostUserMessage(m any) {
	panic(fmt.Sprintf("stage: %T was sent around the stage", m))
}

// UserMessageCount is part of actor.Mailbox, for metrics that are off.
func (p *process) UserMessageCount() int { return 0 }

// Receive is part of actor.Actor.
func (p *process) Receive(ctx actor.Context) {
	c := (*cell)(p)
	switch ctx.Message().(type) {
	case *envelope:
		c.actor.Receive(c)
	case *actor.Started:
		c.message = &Started{}
		c.actor = c.make()
		c.actor.Receive(c)
		c.message = nil
	case *actor.Stopping:
		c.stopping()
	case *actor.Stopped:
		c.end()
	}
}

// stopping says goodbye. A panic in it ends the actor all the same.
func (c *cell) stopping() {
	if c.failed != nil || c.actor == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			c.failed = c.report(r, "actor failed while it stopped")
		}
	}()
	c.message, c.caller, c.answers = &Stopping{}, Caller{}, 0
	c.actor.Receive(c)
	c.message = nil
}

// failure is what Fail panics with: an error that needs no stack.
type failure struct{ err error }

// fail ends the instance. The supervisor decides whether there is another one.
func (c *cell) fail(reason any) {
	err := c.report(reason, "actor failed")
	if n := c.countFailure(); n > c.house.FailuresMax {
		c.failed = fmt.Errorf("failed %d times within %v, the last time: %w", n, c.house.FailureWindow, err)
		c.Log().Error("actor stays down", "error", c.failed)
	} else if n > 1 {
		c.delay = c.house.RestartDelay << (2 * min(n-2, 8))
	}
	c.actor, c.message, c.caller, c.answers = nil, nil, Caller{}, 0
	c.forget()
	c.invoker.EscalateFailure(reason, c)
}

// countFailure is how many failures there were within the window, with this one.
func (c *cell) countFailure() int {
	now := c.house.driver.ticks()
	recent := c.failures[:0]
	for _, at := range c.failures {
		if now-at < int64(c.house.FailureWindow) {
			recent = append(recent, at)
		}
	}
	c.failures = append(recent, now)
	return len(c.failures)
}

// report logs a failure once, with the stack if nobody foresaw it.
func (c *cell) report(reason any, what string) error {
	switch r := reason.(type) {
	case *failure:
		c.Log().Error(what, "error", r.err)
		return r.err
	case *broken:
		c.Log().Error(what, "error", r.reason, "in", "offloaded work", "stack", string(r.stack))
		return fmt.Errorf("panic in offloaded work: %v", r.reason)
	}
	c.Log().Error(what, slog.Any("error", reason), slog.String("stack", string(debug.Stack())))
	if err, ok := reason.(error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic: %v", reason)
}

// supervisor is the house as proto.actor's strategy for failures. It keeps no statistics of its own, whose clock would be
// the machine's.
type supervisor house

// HandleFailure is part of actor.SupervisorStrategy: restart, unless that happens too often.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, by actor.Supervisor, who *actor.PID, _ *actor.RestartStatistics, _, message any) {
	if c := message.(*cell); c.failed != nil {
		by.StopChildren(who)
		return
	}
	by.RestartChildren(who)
}
