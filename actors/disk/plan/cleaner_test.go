package plan

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
)

// Who is overdue comes first, then the filthiest, so many at once, and nobody twice.
func TestWhoseTurnItIs(t *testing.T) {
	id := func(i int32) message.PartitionID { return message.PartitionID{Index: i} }
	var k Cleaner
	k.Allow(2)
	for i, s := range []message.Soiled{{Ratio: 0.6, Due: true}, {Ratio: 0.9, Due: true}, {Ratio: 0.1, Due: true, Overdue: true}, {Ratio: 1}, {Ratio: 0.6, Bytes: 9, Due: true}} {
		s.Partition = id(int32(i))
		k.Soiled(&s)
	}
	next := func(want int32) {
		t.Helper()
		got, ok := k.Next()
		if want < 0 && ok || want >= 0 && (!ok || got != id(want)) {
			t.Fatalf("it is %v's turn (%v), %d is due", got, ok, want)
		}
	}
	next(2)
	next(1)
	next(-1)
	k.Ended(id(2), false)
	next(4)
	next(-1)
	k.Ended(id(1), true)
	k.Forget(id(4)) // it begins anew
	next(0)
	next(-1)
	if k.Failed() != 1 || k.Dirtiest() != 1 {
		t.Fatalf("%d failed, the dirtiest has %v", k.Failed(), k.Dirtiest())
	}
	k.Soiled(&message.Soiled{Partition: id(1), Due: true})
	next(1)
	if k.Allow(0); k.Failed() != 0 {
		t.Fatal("who is dirty again has not failed")
	}
	k.Ended(id(1), false)
	k.Ended(id(0), false)
	next(-1)
}
