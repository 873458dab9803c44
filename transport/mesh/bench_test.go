package mesh

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/persistence/loan"
)

// BenchmarkRoundTrip is a Pull and an empty Pulled, one after the other.
func BenchmarkRoundTrip(b *testing.B) {
	x, y := pair(b)
	x.idle, y.idle = true, true
	back := make(chan struct{}, 1)
	y.guard(func(l stage.Letter) {
		y.Send(stage.Letter{From: l.To, To: l.From, Kind: stage.LetterAnswer, Request: l.Request, Word: &message.Pulled{}})
	})
	x.guard(func(stage.Letter) { back <- struct{}{} })
	l := pull(x, y, 1)
	for b.Loop() {
		x.Send(l)
		<-back
	}
}

// BenchmarkBulk is letters of 256 KiB in one direction, with at most 16 MiB waiting.
func BenchmarkBulk(b *testing.B) {
	x, y := pair(b)
	x.idle, y.idle = true, true
	const size = 256 << 10
	room := make(chan struct{}, 64)
	y.guard(func(l stage.Letter) {
		loan.GiveBack(l.Word.(*message.Pulled).Lent)
		<-room
	})
	l := pulled(x, y, 1, size)
	b.SetBytes(size)
	for b.Loop() {
		room <- struct{}{}
		x.Send(l)
	}
	for len(room) > 0 {
		time.Sleep(time.Millisecond)
	}
	if x.downs() > 0 {
		b.Fatal("the link was reset")
	}
}

// BenchmarkPulls is how many small letters go through in one direction.
func BenchmarkPulls(b *testing.B) {
	x, y := pair(b)
	x.idle, y.idle = true, true
	room := make(chan struct{}, 4096)
	y.guard(func(stage.Letter) { <-room })
	l := pull(x, y, 1)
	for b.Loop() {
		room <- struct{}{}
		x.Send(l)
	}
	if x.downs() > 0 {
		b.Fatal("the link was reset")
	}
}
