package sim

import "testing"

// TestSeeds runs a few seeds, each twice.
func TestSeeds(t *testing.T) {
	for seed := range uint64(300) {
		s := Draw(seed)
		first, second := Run(s, Options{}), Run(s, Options{})
		if first.Violation != nil {
			t.Errorf("seed %d: %v", seed, first.Violation)
		}
		if first.Hash != second.Hash {
			t.Errorf("seed %d: hashes %x and %x", seed, first.Hash, second.Hash)
		}
	}
}
