package sim

import "testing"

// A world of several nodes is a function of its seed: two runs have one hash, and tracing changes nothing.
func TestTwinsInClusters(t *testing.T) {
	for _, nodes := range []int{2, 3, 5, 7} {
		for seed := range uint64(6) {
			s := DrawCluster(seed, nodes)
			first, lines := Run(s, Options{}), 0
			twin := Run(s.clone(), Options{Messages: true, Trace: func(string) { lines++ }})
			if first.Hash != twin.Hash || lines == 0 {
				t.Errorf("%d nodes, seed %d: hashes %x and %x, %d lines", nodes, seed, first.Hash, twin.Hash, lines)
			}
			if first.Steps == 0 || first.Acked+first.Read == 0 {
				t.Errorf("%d nodes, seed %d: %d steps, %d batches acknowledged, %d read", nodes, seed, first.Steps, first.Acked, first.Read)
			}
		}
	}
}

// One node in a cluster of one is a node.
func TestAClusterOfOneIsWhatItWas(t *testing.T) {
	for seed := range uint64(5) {
		if alone, one := Run(Draw(seed), Options{}), Run(DrawCluster(seed, 1), Options{}); alone.Hash != one.Hash {
			t.Errorf("seed %d: hashes %x and %x", seed, alone.Hash, one.Hash)
		}
	}
}
