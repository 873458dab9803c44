package faults

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// row is what one kind of fault did, over all its runs. Gaps are the longest time that any partition was without an
// acknowledgement.
type row struct {
	Fault   string        `json:"fault"`
	Runs    int           `json:"runs"`
	Acked   int           `json:"acknowledged"`
	Lost    int           `json:"lost"`
	Doubled int           `json:"duplicated"`
	Wrong   int           `json:"wrong"`                 // out of order, or other than acknowledged or consumed
	Victim  time.Duration `json:"longest_gap_of_victim"` // franz-go, partitions that the victim led; nanoseconds, as those that follow
	Others  time.Duration `json:"longest_gap_of_others"` // franz-go, the other partitions
	Librd   time.Duration `json:"longest_gap_librdkafka"`
	Whole   time.Duration `json:"longest_until_in_sync"` // from the end of the fault
	Goal    time.Duration `json:"goal"`                  // how long a gap is meant to be at most
}

func (r *row) gap() time.Duration { return max(r.Victim, r.Others, r.Librd) }

// add takes a further run's row in.
func (r *row) add(run row) {
	r.Fault, r.Goal = run.Fault, run.Goal
	r.Runs += run.Runs
	r.Acked += run.Acked
	r.Lost += run.Lost
	r.Doubled += run.Doubled
	r.Wrong += run.Wrong
	r.Victim, r.Others, r.Librd, r.Whole = max(r.Victim, run.Victim), max(r.Others, run.Others), max(r.Librd, run.Librd), max(r.Whole, run.Whole)
}

// table is a row for each kind of fault, in the order in which they were first done.
type table struct{ rows []row }

func (t *table) add(run row) {
	for i := range t.rows {
		if t.rows[i].Fault == run.Fault {
			t.rows[i].add(run)
			return
		}
	}
	t.rows = append(t.rows, run)
}

// markdown is the table as people read it.
func (t *table) markdown() string {
	var s strings.Builder
	s.WriteString("| fault | runs | acknowledged | lost | duplicated | wrong | longest gap | victim's | others' | librdkafka | meant | in sync again |\n")
	s.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range t.rows {
		fmt.Fprintf(&s, "| %s | %d | %d | %d | %d | %d | **%s** | %s | %s | %s | %s | %s |\n", r.Fault, r.Runs, r.Acked, r.Lost, r.Doubled, r.Wrong,
			short(r.gap()), short(r.Victim), short(r.Others), short(r.Librd), cmp.Or("≤ "+short(r.Goal), "–"), short(r.Whole))
	}
	return s.String()
}

func short(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// preface says in docs/faults.md what the table is.
const preface = `# Real faults

Three nodes of the real binary under faults that are real: processes are killed and stopped, disks filled and wiped, and a network
of namespaces is cut, delayed and made to lose packets. Meanwhile unmodified clients (franz-go and, through confluent-kafka,
librdkafka) write to every partition of a topic with idempotent producers, and a consumer reads along. Topics have three replicas, of which two must be in sync.

In the end everything is read back. **lost**: acknowledged and not there. **duplicated**: there more than once. **wrong**: out of
order, at another offset than acknowledged, or other than what a consumer was given. **longest gap**: the longest time that any
one partition was without an acknowledgement, in any run, the clients' own retries included; of franz-go's producer on
partitions that the victim led and on the others, and of librdkafka's on all. **meant**: what it should be at most on a quiet machine.
**in sync again**: from the end of the fault until every replica of the topic was in sync.

Written by ` + "`tests/faults/run ROUNDS`" + `, not by hand.

`

// keep merges the table with those of earlier runs in a JSON file, and writes both that and, beside it, the Markdown.
func (t *table) keep(path string) error {
	var all table
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &all.rows)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, r := range t.rows {
		all.add(r)
	}
	text, err = json.MarshalIndent(all.rows, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(strings.TrimSuffix(path, ".json")+".md", []byte(preface+all.markdown()), 0o644)
}
