package sim

import "testing"

// How much of a made-up world goes by in a second of the machine's, in worlds of one node and of three.
func BenchmarkWorld(b *testing.B) {
	for name, nodes := range map[string]int{"nodes=1": 1, "nodes=3": 3} {
		b.Run(name, func(b *testing.B) {
			simulated, steps := 0.0, uint64(0)
			for seed := range uint64(b.N) {
				r := Run(DrawCluster(seed, nodes), Options{})
				if r.Violation != nil {
					b.Fatalf("seed %d: %v", seed, r.Violation)
				}
				simulated += r.Simulated.Seconds()
				steps += r.Steps
			}
			b.ReportMetric(simulated/b.Elapsed().Seconds(), "simulated-s/s")
			b.ReportMetric(float64(steps)/float64(b.N), "steps/op")
		})
	}
}
