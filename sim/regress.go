package sim

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Shrink makes a failing scenario smaller as long as it breaks the same invariant: fewer faults, fewer clients, a shorter
// time. Each candidate is tried with several orders of events, since what is left out moves everything else.
func Shrink(s *Scenario, budget time.Duration) (*Scenario, Result) {
	best, found := s, Run(s, Options{})
	if found.Violation == nil {
		return s, found
	}
	end := time.Now().Add(budget)
	for smaller := true; smaller; {
		smaller = false
		for _, c := range best.smaller() {
			if time.Now().After(end) {
				return best, found
			}
			if r, ok := c.breaks(found.Violation.Name); ok {
				best, found, smaller = c, r, true
				break
			}
		}
	}
	return best, found
}

// orders is how many orders of events a smaller scenario is tried with.
const orders = 8

// breaks says whether the scenario breaks an invariant, in one of several orders, which it then keeps.
func (s *Scenario) breaks(invariant string) (Result, bool) {
	for order := range uint64(orders) {
		s.Order = order
		if r := Run(s, Options{}); r.Violation != nil && r.Violation.Name == invariant {
			return r, true
		}
	}
	return Result{}, false
}

// smaller are the scenarios that lack one thing, the largest first.
func (s *Scenario) smaller() []*Scenario {
	var all []*Scenario
	for i := range s.Faults {
		c := s.clone()
		c.Faults = append(c.Faults[:i], c.Faults[i+1:]...)
		all = append(all, c)
	}
	for i := range s.Clients {
		c := s.clone()
		c.Clients = append(c.Clients[:i], c.Clients[i+1:]...)
		all = append(all, c)
	}
	if s.Millis > 50 {
		c := s.clone()
		c.Millis /= 2
		all = append(all, c)
	}
	if s.Recoveries > 0 {
		c := s.clone()
		c.Recoveries--
		all = append(all, c)
	}
	if s.Net != (Net{}) {
		c := s.clone()
		c.Net = Net{}
		all = append(all, c)
	}
	return all
}

func (s *Scenario) clone() *Scenario {
	var c Scenario
	b, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		panic("sim: a scenario is data: " + err.Error())
	}
	return &c
}

// Regression is a scenario that once broke an invariant, as it is stored.
type Regression struct {
	Invariant string // that it broke
	Found     string // the sentence
	Scenario  *Scenario
}

// Store writes a regression into a folder, named by its invariant and seed, and says where.
func (r Regression) Store(dir string) (string, error) {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-%d.json", r.Invariant, r.Scenario.Seed))
	return path, os.WriteFile(path, append(b, '\n'), 0o644)
}

// LoadRegression reads what Store wrote.
func LoadRegression(files fs.FS, path string) (Regression, error) {
	var r Regression
	b, err := fs.ReadFile(files, path)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, fmt.Errorf("the regression %s: %w", path, err)
	}
	return r, nil
}
