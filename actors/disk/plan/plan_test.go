package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// model is a made-up disk: what it needs for a round, in seconds.
type model struct{ journalFixed, journalMiB, file, directMiB float64 }

func (m model) journal(bytes int64) time.Duration {
	return seconds(m.journalFixed + m.journalMiB*float64(bytes)/(1<<20))
}

func (m model) direct(files int, bytes int64) time.Duration {
	return seconds(m.file*float64(files) + m.directMiB*float64(bytes)/(1<<20))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// play runs one file: `disk` sets the model, `rounds` lets rounds run one after the other and says what was chosen in the
// last half of them.
type play struct {
	plan *Plan
	now  time.Time
	disk model
}

func TestPlays(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		p := &play{plan: New(16), now: time.Unix(0, 0)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "disk":
				p.disk = model{millis(t, d, "journal"), millis(t, d, "journal-mib"), millis(t, d, "file"), millis(t, d, "direct-mib")}
				return ""
			case "rounds":
				return p.rounds(t, d)
			}
			return "unknown command " + d.Cmd
		})
	})
}

func millis(t *testing.T, d *datadriven.TestData, key string) float64 {
	var text string
	d.ScanArgs(t, key, &text)
	took, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return took.Seconds()
}

// rounds: n rounds of `small` shares of `bytes` and `large` shares of `mib` MiB, with room in the journal.
func (p *play) rounds(t *testing.T, d *datadriven.TestData) string {
	n, small, bytes, large, mib, room, idle := 0, 0, 0, 0, 0, 64<<20, "0s"
	d.ScanArgs(t, "n", &n)
	d.MaybeScanArgs(t, "small", &small)
	d.MaybeScanArgs(t, "bytes", &bytes)
	d.MaybeScanArgs(t, "large", &large)
	d.MaybeScanArgs(t, "mib", &mib)
	d.MaybeScanArgs(t, "room", &room)
	d.MaybeScanArgs(t, "idle", &idle)
	pause, err := time.ParseDuration(idle)
	if err != nil {
		t.Fatal(err)
	}
	chosen := [2][3]int{}
	for i := range n {
		shares := make([]Share, 0, small+large)
		for range small {
			shares = append(shares, Share{Files: 1, Bytes: int64(bytes)})
		}
		for range large {
			shares = append(shares, Share{Files: 1, Bytes: int64(mib) << 20})
		}
		p.plan.Choose(p.now, shares, int64(room))
		p.carryOut(shares)
		p.now = p.now.Add(pause)
		for k := range shares {
			if i >= n/2 && k < small {
				chosen[0][shares[k].Way]++
			} else if i >= n/2 {
				chosen[1][shares[k].Way]++
			}
		}
	}
	return describe(chosen)
}

// carryOut does what the disk actor would do and reports what it took.
func (p *play) carryOut(shares []Share) {
	files, direct, journal := 0, int64(0), int64(0)
	for _, s := range shares {
		if s.Way == Journal {
			journal += s.Bytes
		} else {
			files++
			direct += s.Bytes
		}
	}
	if files > 0 {
		took := p.disk.direct(files, direct)
		p.now = p.now.Add(took)
		p.plan.Synced(p.now, files, direct, took)
	}
	if journal > 0 {
		took := p.disk.journal(journal)
		p.now = p.now.Add(took)
		p.plan.Journalled(p.now, journal, took)
	}
}

func describe(chosen [2][3]int) string {
	var b strings.Builder
	for i, name := range [...]string{"small", "large"} {
		d, j := chosen[i][Direct], chosen[i][Journal]
		if d+j > 0 {
			fmt.Fprintf(&b, "%s: %d%% journal\n", name, (100*j+(d+j)/2)/(d+j))
		}
	}
	return b.String()
}
