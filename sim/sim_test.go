package sim

import (
	"encoding/json"
	"os"
	"os/exec"
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
		r, err := LoadRegression(os.DirFS("."), path)
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

// traced are seeds whose hashes are compared; some of them damage files, which has the node's log listened to.
var traced = []uint64{3, 4, 7, 11, 30, 69}

// Tracing changes nothing, and another process does the same.
func TestAHashIsTheSeedsAlone(t *testing.T) {
	hashes := map[uint64]uint64{}
	for _, seed := range traced {
		r := Run(Draw(seed), Options{})
		lines := 0
		if with := Run(Draw(seed), Options{Messages: true, Trace: func(string) { lines++ }}); with.Hash != r.Hash || lines == 0 {
			t.Errorf("seed %d: %016x, and with a trace of %d lines %016x", seed, r.Hash, lines, with.Hash)
		}
		hashes[seed] = r.Hash
	}
	if os.Getenv(hashesFor) != "" {
		if err := json.NewEncoder(os.Stderr).Encode(hashes); err != nil {
			t.Fatal(err)
		}
		return
	}
	child := exec.Command(os.Args[0], "-test.run=TestAHashIsTheSeedsAlone")
	child.Env = append(os.Environ(), hashesFor+"=parent")
	elsewhere := map[uint64]uint64{}
	out, err := child.StderrPipe()
	if err == nil {
		err = child.Start()
	}
	if err == nil {
		err = json.NewDecoder(out).Decode(&elsewhere)
	}
	if err != nil || child.Wait() != nil {
		t.Fatalf("another process: %v", err)
	}
	for seed, hash := range hashes {
		if elsewhere[seed] != hash {
			t.Errorf("seed %d: %016x here and %016x in another process", seed, hash, elsewhere[seed])
		}
	}
}

// hashesFor is set in the other process.
const hashesFor = "SIM_TEST_HASHES_FOR"
