package budget

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.UnixMilli(1_700_000_000_000)

// TestWhatIsMovedKeepsToTheRate: some replicas draw whenever they may, of batches that are larger or smaller than what they were granted. In
// the end no more was moved than the rate allows, and one batch of each; and not much less.
func TestWhatIsMovedKeepsToTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(1, 1<<30).Draw(t, "rate")
		batch := rapid.Int64Range(1, 1<<20).Draw(t, "batch")
		replicas := rapid.IntRange(1, 5).Draw(t, "replicas")
		var b Budget
		now, moved := noon, int64(0)
		due := make([]time.Time, replicas)
		for now.Sub(noon) < time.Minute {
			for i := range due {
				if due[i].After(now) {
					continue
				}
				bytes, wait := b.Draw(1<<20, rate, now)
				if due[i] = now.Add(wait); bytes == 0 {
					if wait < waitMin || wait > waitMax {
						t.Fatalf("wait %s", wait)
					}
					continue
				}
				took := max(batch, bytes/batch*batch)
				b.Spent(took - bytes)
				moved += took
				due[i] = now.Add(time.Millisecond)
			}
			now = now.Add(time.Millisecond)
		}
		most := 60*rate + batch
		if moved > most {
			t.Fatalf("%d bytes were moved in a minute at %d a second, in batches of %d", moved, rate, batch)
		}
		if least := min(60*rate-2*rate-batch, 55*1000*(1<<20)/2); moved < least {
			t.Fatalf("only %d bytes were moved in a minute at %d a second, in batches of %d", moved, rate, batch)
		}
	})
}

func TestAnotherRateIsFeltAtOnce(t *testing.T) {
	var b Budget
	if n, wait := b.Draw(1000, 1, noon); n != 0 || wait != time.Second {
		t.Errorf("at first %d, %s", n, wait)
	}
	if n, _ := b.Draw(1000, 1_000_000, noon.Add(time.Second)); n != 1000 {
		t.Errorf("at a higher rate %d", n)
	}
	b.Spent(1 << 40)
	if n, _ := b.Draw(1000, Unlimited, noon.Add(time.Second)); n != 1000 {
		t.Errorf("without a limit %d", n)
	}
	if n, wait := b.Draw(1000, 0, noon.Add(time.Hour)); n != 0 || wait != time.Second {
		t.Errorf("at no rate %d, %s", n, wait)
	}
}
