package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/troupe-broker/troupe/actors/message"
)

// TestPlays runs testdata/*.txt; a file's name is its claim. Partitions are called by their index, all of topic "t".
//
//	full 0 1 2          a request that names all
//	set 1 | forget 1    a request that names what changed
//	look 0=data 1=none  the queue is gone through: data is served, none sleeps, what is not named stays
//	wake 1              somebody has news
//	advance EPOCH       requests of the session
//	take NOW SIZE       a slot for a new session
//	use ID NOW          a request of a session
//	give ID
func TestPlays(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		p := &play{s: New(), slots: Slots{Max: 2}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return p.act(d) })
	})
}

type play struct {
	s     *Session
	slots Slots
}

func (p *play) act(d *datadriven.TestData) string {
	switch d.Cmd {
	case "full":
		p.s.Full()
		p.set(d)
		p.s.Settle()
	case "set":
		p.set(d)
	case "forget":
		for _, a := range d.CmdArgs {
			p.s.Forget([]byte("t"), message.TopicID{}, number[int32](a.Key))
		}
	case "wake":
		for part := range p.s.All {
			if fmt.Sprint(part.Index) == d.CmdArgs[0].Key {
				p.s.Wake(part)
			}
		}
	case "look":
		return p.look(d)
	case "advance":
		p.s.Epoch = number[int32](d.CmdArgs[0].Key)
		p.s.Advance()
		return fmt.Sprintf("epoch %d\n", p.s.Epoch)
	case "take", "use", "give":
		return p.slot(d)
	default:
		return "unknown command\n"
	}
	return p.String()
}

func (p *play) set(d *datadriven.TestData) {
	for _, a := range d.CmdArgs {
		p.s.Set([]byte("t"), message.TopicID{}, number[int32](a.Key), Want{})
	}
}

// look serves what has data, and says what an incremental answer names.
func (p *play) look(d *datadriven.TestData) string {
	found := map[string]string{}
	for _, a := range d.CmdArgs {
		found[a.Key] = a.Vals[0]
	}
	var told []string
	var served []*Partition
	for part := range p.s.Queue {
		what, ok := found[fmt.Sprint(part.Index)]
		if !ok {
			continue
		}
		part.Out = Outcome{}
		switch what {
		case "data":
			part.Out.Slice.Bytes = 1
		case "error":
			part.Out.Code = message.OffsetOutOfRange
		case "none":
		default:
			part.Out.Bounds.HighWatermark = number[int64](what)
		}
		if part.News() {
			told = append(told, fmt.Sprint(part.Index))
		}
		part.Tell()
		switch {
		case what == "data":
			served = append(served, part)
		case what != "error":
			p.s.Sleep(part)
		}
	}
	for _, part := range served {
		p.s.Served(part)
	}
	return fmt.Sprintf("tells %v\n", told)
}

func (p *play) slot(d *datadriven.TestData) string {
	first := number[int64](d.CmdArgs[0].Key)
	switch d.Cmd {
	case "take":
		slot, evicted, ok := p.slots.Take(seconds(first), int32(first), 1, number[int](d.CmdArgs[1].Key))
		if !ok {
			return "no slot\n"
		}
		text := fmt.Sprintf("slot %d", slot.ID)
		if evicted != nil {
			text += fmt.Sprintf(", %d is evicted", evicted.ID)
		}
		return text + "\n"
	case "use":
		p.slots.Use(seconds(number[int64](d.CmdArgs[1].Key)), int32(first), 1)
	case "give":
		p.slots.Give(int32(first))
	}
	return fmt.Sprintf("%d slots are taken\n", p.slots.Len())
}

func (p *play) String() string {
	var all, queue []string
	for part := range p.s.All {
		all = append(all, fmt.Sprint(part.Index))
	}
	for part := range p.s.Queue {
		queue = append(queue, fmt.Sprint(part.Index))
	}
	return fmt.Sprintf("all %s, queue %s\n", strings.Join(all, " "), strings.Join(queue, " "))
}

func seconds(n int64) time.Time { return time.Unix(n, 0) }

func number[N int | int32 | int64](text string) (n N) {
	if _, err := fmt.Sscan(text, &n); err != nil {
		panic(err)
	}
	return n
}
