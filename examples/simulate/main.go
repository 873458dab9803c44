// Command simulate runs the broker in ten made-up worlds, with clients, slow disks, kills and power cuts, and says of each what
// happened: the same on every machine and at every run, because a seed decides everything.
package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/troupe-broker/troupe/sim"
)

func main() {
	if failed := run(os.Stdout, 10); failed > 0 {
		os.Exit(1)
	}
}

// run runs the first seeds and says how many broke the broker's promise.
func run(out io.Writer, seeds uint64) (failed int) {
	for seed := range seeds {
		world := sim.Draw(seed)
		result := sim.Run(world, sim.Options{})
		fmt.Fprintf(out, "seed %d: %2d clients and %2d faults in %5v: %d batches acknowledged, %d read; ",
			seed, len(world.Clients), len(world.Faults), result.Simulated.Round(100*time.Millisecond), result.Acked, result.Read)
		if result.Violation == nil {
			fmt.Fprintln(out, "every invariant held")
			continue
		}
		failed++
		fmt.Fprintf(out, "%v\n  see it with: troupe sim --seed %d --trace\n", result.Violation, seed)
	}
	return failed
}
