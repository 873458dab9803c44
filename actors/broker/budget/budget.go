// Package budget decides how much throttled replication may move at a rate (KIP-73). The rate, the wish and the time come in, a
// grant or a wait goes out.
//
// It refuses nothing for good: who gets nothing comes again. Batches are whole, so that more may be moved than was granted; that is
// a debt, and nothing is granted until it is worked off. Whoever waits looks again within a second, so that another rate is felt soon.
package budget

import (
	"math"
	"time"
)

const (
	// Unlimited is the rate of a side that has no throttle.
	Unlimited = math.MaxInt64
	// waitMin and waitMax bound how long to wait before the next look.
	waitMin, waitMax = time.Millisecond, time.Second
	// saved is how long an unused rate is kept for.
	saved = time.Second
)

// Budget is what one side of a node may move. The zero value has nothing saved.
type Budget struct {
	left float64 // bytes; below zero: a debt
	at   time.Time
}

// Draw grants some of the bytes that are wanted, at rate bytes a second, or says when to ask again.
func (b *Budget) Draw(most, rate int64, now time.Time) (bytes int64, wait time.Duration) {
	if rate == Unlimited {
		*b = Budget{at: now}
		return most, 0
	}
	b.earn(float64(rate), now)
	if b.left >= 1 {
		bytes = min(most, int64(b.left))
		b.left -= float64(bytes)
		return bytes, 0
	}
	if rate == 0 {
		return 0, waitMax
	}
	missing := min(float64(most), float64(rate)*waitMax.Seconds()) - b.left
	return 0, time.Duration(max(float64(waitMin), min(float64(waitMax), missing/float64(rate)*float64(time.Second))))
}

// earn adds what time has brought.
func (b *Budget) earn(rate float64, now time.Time) {
	if passed := now.Sub(b.at); !b.at.IsZero() && passed > 0 {
		b.left = min(b.left+rate*passed.Seconds(), max(b.left, rate*saved.Seconds()))
	}
	b.at = now
}

// Spent corrects a grant by so many bytes.
func (b *Budget) Spent(bytes int64) { b.left -= float64(bytes) }
