// Package plan decides, for each commit round of a disk, which partitions' files are synced themselves and which
// partitions' bytes go through the journal.
//
// The journal turns many syncs into one, and writes the bytes twice. What either costs is not known beforehand: two
// lines (fixed cost and cost per byte, running averages) are fitted to what this disk shows, and now and then the way not
// taken is tried so that its line stays true. The second writing of journalled bytes happens later and in the background, so
// it counts only as far as the disk is busy with bytes.
//
// It refuses to know files: it counts them.
package plan

import (
	"math"
	"time"
)

// Way is how a partition's part of a round becomes durable.
type Way uint8

// The ways. Either leaves the choice to the plan and is never its decision.
const (
	Either Way = iota
	Direct
	Journal
)

// String is the way in lower case.
func (w Way) String() string { return [...]string{"either", "direct", "journal"}[w] }

// Share is one partition's part of a round.
type Share struct {
	Files int   // that a direct sync would have to sync
	Bytes int64 // that the journal would have to take
	Must  Way   // Either, or the only way that is possible
	Way   Way   // the decision
}

// Plan remembers what the disk has shown. Times are in seconds, sizes in bytes.
type Plan struct {
	parallel float64

	journal, direct line
	tried           [3]time.Time // by Way: when it was last measured
	rounds          int          // since the last probe
	rate            float64      // bytes a second that are committed
	rated           time.Time
}

// Until a disk has shown otherwise it is taken for a middling SSD: these are forgotten within a few rounds.
const (
	journalFixed = 0.4e-3
	directFixed  = 1.5e-3 // one unit, see units
	perByte      = 4e-9
)

const (
	probeAfter   = 5 * time.Second
	probeRounds  = 16
	probeDearest = 20e-3 // seconds that a probe may be expected to take
	samplesFew   = 3
)

// New makes a plan for a disk whose files are synced that many at a time.
func New(parallel int) *Plan {
	return &Plan{
		parallel: float64(max(parallel, 1)),
		journal:  line{fixed: journalFixed, slope: perByte},
		direct:   line{fixed: directFixed, slope: perByte},
	}
}

// Choose sets every share's Way. Room is how many bytes the journal can take in this round; only shares that must go
// there may exceed it.
func (p *Plan) Choose(now time.Time, shares []Share, room int64) {
	p.observe(now, shares)
	p.rounds++
	if way := p.probe(now, shares, room); way != Either {
		p.rounds = 0
		p.assign(shares, room, func(*Share) Way { return way })
		return
	}
	best, cheapest := Direct, math.Inf(1)
	for _, way := range [...]Way{Direct, Journal, Either} {
		if cost := p.assign(shares, room, p.rule(way)); cost < cheapest {
			best, cheapest = way, cost
		}
	}
	p.assign(shares, room, p.rule(best))
}

// rule is a way for all shares, or, for Either, for each the one that costs less beside the others.
func (p *Plan) rule(way Way) func(*Share) Way {
	if way != Either {
		return func(*Share) Way { return way }
	}
	file, extra := p.direct.fixed/p.parallel, p.journalByte()-p.direct.slope
	return func(s *Share) Way {
		if float64(s.Bytes)*extra < float64(s.Files)*file {
			return Journal
		}
		return Direct
	}
}

// assign gives every share its way, as far as it is possible, and returns what the round is expected to cost.
func (p *Plan) assign(shares []Share, room int64, rule func(*Share) Way) float64 {
	files, direct, journal := 0, int64(0), int64(0)
	for i := range shares {
		if s := &shares[i]; s.Must == Journal {
			s.Way = Journal
			journal += s.Bytes
		}
	}
	for i := range shares {
		s := &shares[i]
		if s.Must == Journal {
			continue
		}
		s.Way = Direct
		if s.Must == Either && journal+s.Bytes <= room && rule(s) == Journal {
			s.Way = Journal
			journal += s.Bytes
			continue
		}
		files += s.Files
		direct += s.Bytes
	}
	return p.Cost(files, direct, journal)
}

// Cost is how many seconds a round is expected to take, the deferred part of the journal's cost included.
func (p *Plan) Cost(files int, direct, journal int64) float64 {
	cost := 0.0
	if files > 0 {
		cost += p.units(files)*p.direct.fixed + float64(direct)*p.direct.slope
	}
	if journal > 0 {
		cost += p.journal.fixed + float64(journal)*p.journalByte()
	}
	return cost
}

// journalByte is what a byte in the journal costs: now, and, as far as the disk is busy, once more at the checkpoint.
func (p *Plan) journalByte() float64 { return p.journal.slope + p.busy()*p.byte() }

// busy is how much a second writing of each byte would hurt, from 0 to 1: it does fully when the disk needs
// half of its time for the first.
func (p *Plan) busy() float64 { return min(1, 2*p.rate*p.byte()) }

// byte is what the disk needs for a byte, whichever line shows it: where rounds are all alike a line hardly tells bytes
// from files.
func (p *Plan) byte() float64 { return max(p.journal.slope, p.direct.slope) }

// units is what the fixed cost of a direct sync is counted in: full hands of files, and something for the first.
func (p *Plan) units(files int) float64 { return 0.25 + float64(files)/p.parallel }

// observe keeps the running average of committed bytes a second.
func (p *Plan) observe(now time.Time, shares []Share) {
	bytes := 0.0
	for i := range shares {
		bytes += float64(shares[i].Bytes)
	}
	if !p.rated.IsZero() {
		p.rate *= math.Exp(-max(0, now.Sub(p.rated).Seconds()))
	}
	p.rate += bytes
	p.rated = now
}

// probe says which way to try only to learn what it costs, Either if none.
func (p *Plan) probe(now time.Time, shares []Share, room int64) Way {
	if p.rounds < probeRounds {
		return Either
	}
	files, bytes := 0, int64(0)
	for i := range shares {
		if shares[i].Must != Either {
			return Either
		}
		files += shares[i].Files
		bytes += shares[i].Bytes
	}
	if p.stale(Journal, &p.journal, now) && bytes <= room && p.Cost(0, 0, bytes) < probeDearest {
		return Journal
	}
	if p.stale(Direct, &p.direct, now) && p.Cost(files, bytes, 0) < probeDearest {
		return Direct
	}
	return Either
}

// stale says that a way's line may no longer be true.
func (p *Plan) stale(way Way, l *line, now time.Time) bool {
	return l.samples < samplesFew || p.rare(way, now)
}

// Journalled tells the plan what writing and syncing the journal took.
func (p *Plan) Journalled(now time.Time, bytes int64, took time.Duration) {
	p.journal.learn(float64(bytes), took.Seconds(), p.rare(Journal, now))
	p.tried[Journal] = now
}

// Synced tells the plan what syncing files took; bytes is what was appended to them.
func (p *Plan) Synced(now time.Time, files int, bytes int64, took time.Duration) {
	u := p.units(files)
	p.direct.learn(float64(bytes)/u, took.Seconds()/u, p.rare(Direct, now))
	p.tried[Direct] = now
}

// rare says that a way is only tried now and then.
func (p *Plan) rare(way Way, now time.Time) bool { return now.Sub(p.tried[way]) > probeAfter }
