package txn

import (
	"time"

	"github.com/troupe-broker/troupe/actors/coordinator/brain"
)

// Due is part of brain.Brain.
func (t *Transactions) Due() (due time.Time) {
	due = t.again
	if len(t.open) > 0 {
		due = earlier(due, t.checked.Add(t.settings.AbortCheck))
	}
	if len(t.named) > 0 {
		due = earlier(due, t.scanned.Add(t.settings.RetentionScan))
	}
	return due
}

// earlier is the earlier of two times, where zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// Expire is part of brain.Brain.
func (t *Transactions) Expire(now time.Time) brain.Out {
	if !t.again.IsZero() && !t.again.After(now) {
		t.resend(now)
	}
	if !t.checked.Add(t.settings.AbortCheck).After(now) {
		t.checked = now
		t.abortSlow(now)
	}
	if !t.scanned.Add(t.settings.RetentionScan).After(now) {
		t.scanned = now
		t.retain(now)
	}
	return t.take()
}

// abortSlow is S97.
func (t *Transactions) abortSlow(now time.Time) {
	for _, x := range t.opened() {
		if now.UnixMilli()-x.started > x.timeout.Milliseconds() {
			t.abort(now, x)
		}
	}
}

// retain forgets transactional ids that nobody has used for too long.
func (t *Transactions) retain(now time.Time) {
	for _, x := range t.all() {
		if x.state.resting() && now.UnixMilli()-x.updated >= t.settings.Retention.Milliseconds() {
			delete(t.named, x.id)
			t.out.Records = append(t.out.Records, brain.Record{Key: key(x.id)})
		}
	}
}
