package sim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/sim/check"
	"github.com/troupe-broker/troupe/sim/links"
)

// Outcome is what became of a seed, as a line that one process writes and another reads.
type Outcome struct {
	Seed      uint64 `json:"seed"`
	Hash      string `json:"hash,omitempty"`
	Failure   string `json:"failure,omitempty"` // a sentence; empty: every invariant held
	Invariant string `json:"invariant,omitempty"`
	Simulated int64  `json:"simulated_ns"`
	Steps     uint64 `json:"steps"`
	Acked     int    `json:"acked"`
	Read      int    `json:"read"`
}

// twinEvery: so many seeds to one that runs twice. It is a prime, so that processes that share the seeds share these evenly, too.
const twinEvery = 11

// Seed draws a seed's scenario for so many nodes and runs it, now and then twice. A difference between the two outranks
// everything else.
func Seed(seed uint64, nodes int) Outcome {
	s := DrawCluster(seed, nodes)
	r := Run(s, Options{})
	o := r.Outcome(seed)
	if seed%twinEvery == 0 {
		if twin := Run(s, Options{}); twin.Hash != r.Hash {
			o.Failure = fmt.Sprintf("%s (%s) Seed %d has the hashes %016x and %016x.", check.TwinsAgree.Sentence, check.TwinsAgree.Name, seed, r.Hash, twin.Hash)
			o.Invariant = check.TwinsAgree.Name
		}
	}
	return o
}

// LinkSeed runs a seed's world of two ends of a link.
func LinkSeed(seed uint64) Outcome {
	r := links.Run(seed)
	return Result{Violation: r.Violation, Hash: r.Hash, Simulated: r.Simulated, Steps: r.Steps, Acked: r.Letters}.Outcome(seed)
}

// Outcome is the result of a seed as a line.
func (r Result) Outcome(seed uint64) Outcome {
	o := Outcome{Seed: seed, Hash: fmt.Sprintf("%016x", r.Hash), Simulated: int64(r.Simulated), Steps: r.Steps, Acked: r.Acked, Read: r.Read}
	if r.Violation != nil {
		o.Failure, o.Invariant = r.Violation.Error(), r.Violation.Name
	}
	return o
}

// Share is one process's part of many seeds: First, First+Stride, and so on.
type Share struct {
	First, Seeds, Stride uint64
	Nodes                int  // of each world; 0 is 1
	Links                bool // worlds of two ends of a link instead (package links)
	Plant                planted.Bug
	// UntilFound ends with the first seed that fails.
	UntilFound bool
}

// seedMax is how long a seed may take by the machine's clock.
const seedMax = 20 * time.Second

// Work runs a share and writes an outcome a line.
func (s Share) Work(to *json.Encoder) error {
	for n := uint64(0); n < s.Seeds; n++ {
		seed := s.First + n*s.Stride
		hung := time.AfterFunc(seedMax, func() {
			_ = to.Encode(Outcome{Seed: seed, Failure: fmt.Sprintf("A seed comes to an end. (no-hang) %d has not within %v.", seed, seedMax), Invariant: "no-hang"})
			os.Exit(0)
		})
		o := s.seed(seed)
		hung.Stop()
		if err := to.Encode(o); err != nil {
			return err
		}
		if s.UntilFound && o.Failure != "" {
			return nil
		}
	}
	return nil
}

// seed runs one.
func (s Share) seed(seed uint64) Outcome {
	return withBug(seed, s.Plant, func() Outcome { return s.world(seed) })
}

// RunPlanted runs a scenario with a planted bug, as a share runs its seeds.
func RunPlanted(s *Scenario, bug planted.Bug) Outcome {
	return withBug(s.Seed, bug, func() Outcome { return Run(s, Options{}).Outcome(s.Seed) })
}

// withBug runs a world with a planted bug; a panic of the world is a failure like others. What fails without the bug does not count as a find.
func withBug(seed uint64, bug planted.Bug, world func() Outcome) (o Outcome) {
	planted.Plant(bug)
	defer planted.Plant(planted.None)
	defer func() {
		if p := recover(); p != nil {
			o = Outcome{Seed: seed, Failure: fmt.Sprintf("Nothing panics. (no-panic) %v", p), Invariant: "no-panic"}
		}
	}()
	o = world()
	if o.Failure == "" || bug == planted.None {
		return o
	}
	planted.Plant(planted.None)
	if clean := world(); clean.Failure != "" { // the bug has not been planted: it was there
		o.Failure = ""
	}
	return o
}

func (s Share) world(seed uint64) Outcome {
	if s.Links {
		return LinkSeed(seed)
	}
	return Seed(seed, s.Nodes)
}

// Elsewhere runs a share in a process of its own, started as command with the share's flags, and hands each outcome out.
func (s Share) Elsewhere(ctx context.Context, command []string, each func(Outcome)) error {
	args := append(slices.Clone(command[1:]), "--first-seed", strconv.FormatUint(s.First, 10), "--seeds", strconv.FormatUint(s.Seeds, 10),
		"--stride", strconv.FormatUint(s.Stride, 10), "--plant", strconv.Itoa(int(s.Plant)), "--nodes", strconv.Itoa(s.Nodes))
	if s.Links {
		args = append(args, "--links")
	}
	if s.UntilFound {
		args = append(args, "--until-found")
	}
	child := exec.CommandContext(ctx, command[0], args...)
	child.Env = append(os.Environ(), "GOGC=800", "GOMAXPROCS=1")
	child.Stderr = os.Stderr
	lines, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("a process for seeds: %w", err)
	}
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var o Outcome
		if err = json.Unmarshal(scanner.Bytes(), &o); err != nil {
			break
		}
		each(o)
	}
	err = errors.Join(err, scanner.Err(), child.Wait())
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Totals sum up many seeds.
type Totals struct {
	Seeds     int           `json:"seeds"`
	Failed    []Outcome     `json:"failed"`
	Simulated time.Duration `json:"simulated_ns"`
	Took      time.Duration `json:"took_ns"`
}

// Add counts an outcome in.
func (t *Totals) Add(o Outcome) {
	t.Seeds++
	t.Simulated += time.Duration(o.Simulated)
	if o.Failure != "" {
		t.Failed = append(t.Failed, o)
	}
}

// String is the line that scripts read.
func (t *Totals) String() string {
	return fmt.Sprintf("seeds=%d failures=%d simulated=%s seeds/min=%.0f", t.Seeds, len(t.Failed), t.Simulated.Round(time.Second),
		float64(t.Seeds)/max(t.Took.Minutes(), 1e-9))
}

// Many runs a share's seeds, one behind the other, in several processes. each hears of every outcome, one at a time.
func Many(ctx context.Context, command []string, all Share, jobs int, each func(Outcome)) (Totals, error) {
	total := Totals{Failed: []Outcome{}}
	began := time.Now()
	outcomes := make(chan Outcome, 64)
	ended := make(chan error, jobs)
	for j := range uint64(jobs) {
		share := all
		share.First, share.Seeds, share.Stride = all.First+j, (all.Seeds+uint64(jobs)-1-j)/uint64(jobs), uint64(jobs)
		go func() { ended <- share.Elsewhere(ctx, command, func(o Outcome) { outcomes <- o }) }()
	}
	var err error
	for running := jobs; running > 0; {
		select {
		case o := <-outcomes:
			total.Add(o)
			each(o)
		case e := <-ended:
			err = errors.Join(err, e)
			running--
		}
	}
	for len(outcomes) > 0 {
		o := <-outcomes
		total.Add(o)
		each(o)
	}
	slices.SortFunc(total.Failed, func(a, b Outcome) int { return int(int64(a.Seed) - int64(b.Seed)) })
	total.Took = time.Since(began)
	return total, err
}
