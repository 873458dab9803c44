package loan

import "testing"

func TestClassesWasteLittle(t *testing.T) {
	for size := 1; size < 20<<20; size += 1 + size/7 {
		b := Lend(size)
		if cap(b) < size || size > 4096 && cap(b) > size+size/4+1 {
			t.Errorf("%d bytes are lent %d", size, cap(b))
		}
		GiveBack(b)
	}
}

// What is lent again is what was given back, and never more than that: not a buffer without memory, nor one that is too large.
func TestWhatIsNotLentIsPassedOver(t *testing.T) {
	GiveBack(nil)
	GiveBack(make([]byte, 5000))
	GiveBack(make([]byte, 20<<20))
	for range 3 {
		if b := Lend(5000); len(b) != 0 || cap(b) != 5120 {
			t.Errorf("5000 bytes are lent as %d of %d", len(b), cap(b))
		}
	}
}
