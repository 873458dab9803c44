package bench

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Picture draws how latencies are spread: a line for each range, each twice as long as the one before.
func Picture(out io.Writer, h *hdrhistogram.Histogram, width int) {
	var counts []int64
	least := math.MaxInt
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		i := bucket(bar.From)
		for len(counts) <= i {
			counts = append(counts, 0)
		}
		counts[i] += bar.Count
		least = min(least, i)
	}
	most := int64(1)
	for _, n := range counts {
		most = max(most, n)
	}
	for i := least; i < len(counts); i++ {
		bar := strings.Repeat("█", int(math.Ceil(float64(counts[i])/float64(most)*float64(width))))
		fmt.Fprintf(out, "%10s  %-*s %6.2f%%\n", "≤ "+micros(int64(64)<<i), width, bar, 100*float64(counts[i])/float64(h.TotalCount()))
	}
}

// bucket is the range that holds a number of microseconds: up to 64, up to 128, and so on.
func bucket(micros int64) int {
	i := 0
	for limit := int64(64); micros > limit; limit *= 2 {
		i++
	}
	return i
}

func micros(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d µs", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f ms", float64(n)/1000)
	}
	return fmt.Sprintf("%.1f s", float64(n)/1e6)
}
