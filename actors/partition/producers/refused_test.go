package producers

import (
	"math"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
)

// What stands behind a refused batch, in the same producer's epoch, is refused with the same code for a while.
func TestBehindWhatWasRefused(t *testing.T) {
	var r Refused
	r.Note(header(7, 1, math.MaxInt32-1, 2, 0), message.NotEnoughReplicas, "why", noon)
	r.Note(header(7, 1, 0, 2, 0), message.KafkaStorageError, "it stands behind", noon.Add(refusalLasts/2))
	for _, c := range []struct {
		name     string
		id       int64
		epoch    int16
		sequence int32
		after    time.Duration
		want     message.Code
	}{
		{"the refused one itself", 7, 1, math.MaxInt32 - 1, 0, message.OK},
		{"the next, where sequences wrap", 7, 1, 0, 0, message.NotEnoughReplicas},
		{"far behind", 7, 1, 1000, refusalLasts, message.NotEnoughReplicas},
		{"before it", 7, 1, math.MaxInt32 - 2, 0, message.OK},
		{"another epoch", 7, 2, 0, 0, message.OK},
		{"another producer", 8, 1, 0, 0, message.OK},
		{"too late", 7, 1, 0, refusalLasts + 1, message.OK},
	} {
		if v := r.Behind(header(c.id, c.epoch, c.sequence, 2, 0), noon.Add(c.after)); v.Code != c.want {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
	r.Appended(header(7, 1, math.MaxInt32-1, 2, 0))
	if v := r.Behind(header(7, 1, 0, 2, 0), noon); v.Code != message.OK || r.byID != nil {
		t.Errorf("once it was appended: %+v", v)
	}
}

// A refusal for good, or of who has no sequences, is not remembered; nor are more than so many.
func TestWhatIsNotRemembered(t *testing.T) {
	var r Refused
	r.Note(header(7, 0, 0, 1, 0), message.MessageTooLarge, "for good", noon)
	r.Note(header(-1, -1, -1, 1, 0), message.KafkaStorageError, "no producer", noon)
	if len(r.byID) != 0 {
		t.Errorf("%v", r.byID)
	}
	for id := range int64(3 * refusalsMax) {
		r.Note(header(id, 0, 0, 1, 0), message.KafkaStorageError, "", noon)
	}
	if len(r.byID) > refusalsMax {
		t.Errorf("%d are remembered", len(r.byID))
	}
}
