package links

import "testing"

// Whatever the wires do, letters keep their order within a session, and the ends find each other again.
func TestLinks(t *testing.T) {
	letters := 0
	for seed := range uint64(300) {
		r := Run(seed)
		if r.Violation != nil {
			t.Fatalf("seed %d: %v", seed, r.Violation)
		}
		if again := Run(seed); again != r {
			t.Fatalf("seed %d: %+v, and then %+v", seed, r, again)
		}
		letters += r.Letters
	}
	if letters < 300*4*enough {
		t.Fatalf("%d letters arrived", letters)
	}
}
