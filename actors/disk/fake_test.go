package disk

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// letter is a message in somebody's mailbox.
type letter struct {
	to      message.Address
	msg     any
	caller  stage.Caller
	answers stage.RequestID
}

// bench is a stage for one disk actor whose offloads and timers come back when the test says so.
type bench struct {
	stage.Context // what is not needed panics
	files         vfs.FS
	chance        *rand.Rand
	now           time.Time
	clock         func() time.Time // nil: now stands still between steps

	actor stage.Actor
	at    letter
	inbox []letter // for the disk
	work  []func() any
	timed []any
	sent  []letter // by the disk
	views []any
}

var diskAddress = message.DiskAt(1)

func newBench(files vfs.FS, seed uint64, o Options) *bench {
	b := &bench{files: files, chance: rand.New(rand.NewPCG(seed, 7)), now: time.Unix(1000, 0), actor: New(o)()}
	b.inbox = append(b.inbox, letter{msg: &stage.Started{}})
	return b
}

func (b *bench) Self() message.Address          { return diskAddress }
func (b *bench) Message() any                   { return b.at.msg }
func (b *bench) Caller() stage.Caller           { return b.at.caller }
func (b *bench) Answers() stage.RequestID       { return b.at.answers }
func (b *bench) Rand() *rand.Rand               { return b.chance }
func (b *bench) FS() vfs.FS                     { return b.files }
func (b *bench) Log() *slog.Logger              { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
func (b *bench) Publish(v any)                  { b.views = append(b.views, v) }
func (b *bench) Unhandled()                     { panic(b.at.msg) }
func (b *bench) Send(to message.Address, m any) { b.sent = append(b.sent, letter{to: to, msg: m}) }

func (b *bench) Now() time.Time {
	if b.clock != nil {
		return b.clock()
	}
	return b.now
}

func (b *bench) Answer(to stage.Caller, m any) {
	b.sent = append(b.sent, letter{to: to.Address, msg: m, answers: to.Request})
}

func (b *bench) After(_ time.Duration, m any) stage.Timer {
	b.timed = append(b.timed, m)
	return stage.Timer{}
}

func (b *bench) Offload(_ time.Duration, work func() any) stage.RequestID {
	b.work = append(b.work, work)
	return 1
}

// tell puts a message into the disk's mailbox.
func (b *bench) tell(from message.Address, m any) {
	b.inbox = append(b.inbox, letter{msg: m, caller: stage.Caller{Address: from, Request: 1}})
}

// step lets one thing happen, of chance what; false if there is nothing.
func (b *bench) step(timers bool) bool {
	b.now = b.now.Add(time.Millisecond)
	kinds := []func(){}
	if len(b.inbox) > 0 {
		kinds = append(kinds, b.receive, b.receive)
	}
	if len(b.work) > 0 {
		kinds = append(kinds, b.finishWork)
	}
	if timers && len(b.timed) > 0 {
		kinds = append(kinds, b.fire)
	}
	if len(kinds) == 0 {
		return false
	}
	kinds[b.chance.IntN(len(kinds))]()
	return true
}

func (b *bench) receive() {
	b.at, b.inbox = b.inbox[0], b.inbox[1:]
	b.actor.Receive(b)
}

func (b *bench) finishWork() {
	i := b.chance.IntN(len(b.work))
	work := b.work[i]
	b.work = append(b.work[:i:i], b.work[i+1:]...)
	b.inbox = append(b.inbox, letter{msg: work(), answers: 1})
}

func (b *bench) fire() {
	m := b.timed[0]
	b.timed = b.timed[1:]
	b.inbox = append(b.inbox, letter{msg: m})
}

// settle steps until nothing is left to do.
func (b *bench) settle(timers bool) {
	for i := 0; b.step(timers); i++ {
		if timers && i > 10_000 && len(b.inbox)+len(b.work) == 0 {
			return
		}
	}
}
