package sim

import (
	"path/filepath"
	"testing"
)

// Seeds hold, each of them twice with the same hash.
func TestSeeds(t *testing.T) {
	for seed := range uint64(60) {
		s := Draw(seed)
		first, twin := Run(s, Options{}), Run(s, Options{})
		if first.Violation != nil {
			t.Errorf("seed %d: %v", seed, first.Violation)
		}
		if first.Hash != twin.Hash {
			t.Errorf("seed %d: hashes %x and %x", seed, first.Hash, twin.Hash)
		}
	}
}

// Scenarios that once broke something hold.
func TestRegressions(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d regressions: %v", len(paths), err)
	}
	for _, path := range paths {
		r, err := LoadRegression(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := Run(r.Scenario, Options{}); got.Violation != nil {
			t.Errorf("%s: %v", path, got.Violation)
		}
	}
}

// What a scenario does does not depend on whether it is drawn or read.
func TestAScenarioIsData(t *testing.T) {
	s := Draw(7)
	if a, b := Run(s, Options{}), Run(s.clone(), Options{}); a.Hash != b.Hash {
		t.Errorf("drawn %x, read %x", a.Hash, b.Hash)
	}
}
