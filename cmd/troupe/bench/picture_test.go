package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestPicture(t *testing.T) {
	h := hdrhistogram.New(1, 1_000_000, 3)
	for range 3 {
		_ = h.RecordValue(100)
	}
	_ = h.RecordValue(900)
	var out strings.Builder
	Picture(&out, h, 6)
	want := "  ≤ 128 µs  ██████  75.00%\n  ≤ 256 µs           0.00%\n  ≤ 512 µs           0.00%\n  ≤ 1.0 ms  ██      25.00%\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// A stall counts against every record that it held up: what is late is said to be due when it was.
func TestPacerDoesNotForgiveAStall(t *testing.T) {
	began := time.Now()
	p := pacer{every: time.Millisecond, next: began}
	time.Sleep(10 * time.Millisecond)
	for i := range 5 {
		if due := p.wait(); !due.Equal(began.Add(time.Duration(i) * time.Millisecond)) {
			t.Errorf("record %d was due %v after the begin", i, due.Sub(began))
		}
	}
}
