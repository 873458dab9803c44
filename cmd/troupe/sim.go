package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/sim"
	"github.com/troupe-broker/troupe/sim/mutant"
	"github.com/troupe-broker/troupe/sim/timeline"
)

// simulation is what the flags of troupe sim say.
type simulation struct {
	seed      uint64
	first     uint64
	seeds     uint64
	jobs      int
	nodes     int
	trace     bool
	messages  bool
	json      bool
	mutants   bool
	full      bool
	mutant    string
	links     bool
	plant     int
	work      bool
	stride    uint64
	untilOnly bool
	html      string
	shrink    bool
}

func newSim() *cobra.Command {
	var s simulation
	c := &cobra.Command{
		Use: "sim", Short: "Run the broker in a made-up world, from a seed, and hold it to its promise", Args: cobra.NoArgs,
		Example: `  troupe sim --seed 4711 --trace
  troupe sim --seeds 20000 --jobs 2
  troupe sim --nodes 3 --seeds 1000
  troupe sim --mutants
  troupe sim --mutants --full --json`,
		RunE: s.run,
	}
	f := c.Flags()
	f.Uint64Var(&s.seed, "seed", 0, "run this seed")
	f.Uint64Var(&s.seeds, "seeds", 0, "run so many seeds")
	f.Uint64Var(&s.first, "first-seed", 0, "the first of them")
	f.IntVar(&s.jobs, "jobs", 1, "in so many processes")
	f.IntVar(&s.nodes, "nodes", 1, "in worlds of so many nodes, 1 to 7")
	f.BoolVar(&s.trace, "trace", false, "print what happens in the seed")
	f.BoolVar(&s.messages, "messages", false, "with --trace: every message between actors, too")
	f.BoolVar(&s.json, "json", false, "print as JSON what came of --seed, --seeds or --mutants")
	f.StringVar(&s.html, "html", "", "draw the seed's timeline into this file")
	f.BoolVar(&s.shrink, "shrink", false, "make a failing seed smaller and store it in sim/testdata, where go test ./sim runs it")
	f.BoolVar(&s.mutants, "mutants", false, "plant bugs, one after the other, and see whether each is found")
	f.BoolVar(&s.full, "full", false, "with --mutants: look for each from seed 0 on, and not first where it was found before")
	f.StringVar(&s.mutant, "mutant", "", "with --mutants: only the one with this name")
	f.BoolVar(&s.links, "links", false, "with --seeds: worlds of two ends of a link between nodes, and of the wires between them")
	f.IntVar(&s.plant, "plant", 0, "plant the bug with this number")
	f.BoolVar(&s.work, "work", false, "print an outcome for each seed")
	f.Uint64Var(&s.stride, "stride", 1, "with --work: from one seed to the next")
	f.BoolVar(&s.untilOnly, "until-found", false, "with --work: end with the first failure")
	for _, hidden := range []string{"work", "stride", "until-found", "plant"} {
		_ = f.MarkHidden(hidden) // they exist: they are named above
	}
	return c
}

func (s *simulation) run(c *cobra.Command, _ []string) error {
	switch f := c.Flags(); {
	case s.nodes < 0 || s.nodes > 7:
		return usagef("--nodes %d: a world has 1 to 7 nodes", s.nodes)
	case s.work:
		return s.share().Work(json.NewEncoder(c.OutOrStdout()))
	case s.mutant != "" && !mutant.Exists(s.mutant):
		return usagef("--mutant %s: there is no planted bug of that name; --mutants names them all", s.mutant)
	case s.mutants || s.mutant != "":
		return s.runMutants(c)
	case f.Changed("seeds"):
		return s.runMany(c)
	case s.links:
		return usagef("--links: say how many seeds with --seeds")
	case f.Changed("seed"):
		return s.runOne(c.OutOrStdout())
	}
	return usagef("say what to run: --seed, --seeds or --mutants")
}

func (s *simulation) share() sim.Share {
	return sim.Share{First: s.first, Seeds: s.seeds, Stride: s.stride, Nodes: s.nodes, Links: s.links, Plant: planted.Bug(s.plant), UntilFound: s.untilOnly}
}

// runOne runs one seed and says what broke.
func (s *simulation) runOne(out io.Writer) error {
	planted.Plant(planted.Bug(s.plant))
	scenario := sim.DrawCluster(s.seed, s.nodes)
	var o sim.Options
	if s.trace {
		o.Trace, o.Messages = func(line string) { fmt.Fprintln(out, line) }, s.messages
		described, _ := json.MarshalIndent(scenario, "", "  ")
		fmt.Fprintln(out, string(described))
	}
	page := timeline.New("troupe sim" + s.which())
	if print := o.Trace; s.html != "" {
		o.Trace = func(line string) {
			page.Line(line)
			if print != nil {
				print(line)
			}
		}
	}
	outcome := sim.Run(scenario, o).Outcome(s.seed)
	if s.html != "" {
		page.What = outcome.Failure
		if err := draw(page, s.html); err != nil {
			return err
		}
	}
	if s.shrink && outcome.Failure != "" {
		if err := store(out, scenario); err != nil {
			return err
		}
	}
	switch {
	case s.json:
		if err := json.NewEncoder(out).Encode(outcome); err != nil {
			return err
		}
	case outcome.Failure == "":
		fmt.Fprintf(out, "seed %d: every invariant held: %d batches acknowledged, %d read, hash %s\n", s.seed, outcome.Acked, outcome.Read, outcome.Hash)
	default:
		fmt.Fprintf(out, "seed %d: %s\nrun it again with: troupe sim%s --trace\n", s.seed, outcome.Failure, s.which())
	}
	if outcome.Failure != "" {
		return errReported
	}
	return nil
}

// which is how to run the seed again.
func (s *simulation) which() string {
	if s.nodes > 1 {
		return fmt.Sprintf(" --nodes %d --seed %d", s.nodes, s.seed)
	}
	return fmt.Sprintf(" --seed %d", s.seed)
}

func draw(page *timeline.Timeline, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(page.Write(f), f.Close())
}

// shrinkBudget is how long a failing scenario is made smaller.
const shrinkBudget = 30 * time.Second

// store makes a failing scenario smaller and keeps it as a regression.
func store(out io.Writer, s *sim.Scenario) error {
	small, found := sim.Shrink(s, shrinkBudget)
	r := sim.Regression{Invariant: found.Violation.Name, Found: found.Violation.Error(), Scenario: small}
	path, err := r.Store("sim/testdata")
	if err == nil {
		fmt.Fprintf(out, "%d faults and %d clients are left: %s\n", len(small.Faults), len(small.Clients), path)
	}
	return err
}

// self is this program as a worker.
func self() ([]string, error) {
	program, err := os.Executable()
	return []string{program, "sim", "--work"}, err
}

// runMany runs many seeds in several processes.
func (s *simulation) runMany(c *cobra.Command) error {
	command, err := self()
	if err != nil {
		return err
	}
	bar := progressbar.DefaultSilent(int64(s.seeds))
	if term.IsTerminal(int(os.Stderr.Fd())) {
		bar = progressbar.Default(int64(s.seeds), "seeds")
	}
	total, err := sim.Many(c.Context(), command, s.share(), max(s.jobs, 1), func(o sim.Outcome) {
		if _ = bar.Add(1); o.Failure != "" {
			_ = bar.Clear()
			if !s.json {
				fmt.Fprintf(c.OutOrStdout(), "seed %d: %s\n", o.Seed, o.Failure)
			}
		}
	})
	_ = bar.Finish()
	if s.json {
		err = errors.Join(err, json.NewEncoder(c.OutOrStdout()).Encode(&total))
	} else {
		fmt.Fprintln(c.OutOrStdout(), &total)
	}
	if err == nil && len(total.Failed) > 0 {
		err = errReported
	}
	return err
}

// mutantSeeds is in how many seeds each planted bug is looked for. Most are found within a hundred.
const mutantSeeds = 5000

// mutantLongest is how long each may take, unless the run is a full one: what is found where it was found before takes seconds.
const mutantLongest = time.Minute

// runMutants plants one bug after the other.
func (s *simulation) runMutants(c *cobra.Command) error {
	command, err := self()
	if err != nil {
		return err
	}
	jobs := s.jobs
	if !c.Flags().Changed("jobs") {
		jobs = runtime.NumCPU()
	}
	h := mutant.Search{Command: command, Seeds: mutantSeeds, Jobs: jobs, Full: s.full, Only: s.mutant}
	if !s.full {
		h.Longest = mutantLongest
	}
	if c.Flags().Changed("seeds") {
		h.Seeds = s.seeds
	}
	found, lines := true, json.NewEncoder(c.OutOrStdout())
	err = h.Hunt(c.Context(), func(v mutant.Verdict) {
		found = found && v.Found
		if s.json {
			_ = lines.Encode(v)
		} else {
			fmt.Fprintln(c.OutOrStdout(), v)
		}
	})
	if err == nil && !found {
		err = errReported
	}
	return err
}
