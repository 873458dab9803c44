package sim

import (
	"testing"
	"time"
)

// A fault whose moment comes when the faults are over, and has frozen the disk, happens all the same: the node does not live on with a
// disk that takes nothing.
func TestADiskThatIsFrozenAtTheEndThawsAgain(t *testing.T) {
	for _, kind := range []FaultKind{Power, PowerLoop, Kill, Blackout} {
		tr, err := newTrial(&Scenario{Nodes: 3, Broker: map[string]string{}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		tr.startAll()
		serve := func() bool {
			for _, h := range tr.hosts {
				if !h.Serving() {
					return false
				}
			}
			return true
		}
		if !tr.until(time.Minute, serve) {
			t.Fatal("they do not serve")
		}
		tr.nemesis.armed = []*armed{{Fault: Fault{Kind: kind, Who: OfMoment, On: &Probe{Op: leads}}}}
		tr.nemesis.cue(leads, 2)
		tr.nemesis.end()
		if !tr.until(time.Minute, serve) {
			t.Errorf("%s: they do not serve any more", kind)
		}
		for _, h := range tr.hosts {
			if _, err := h.Disk.List("."); err != nil {
				t.Errorf("%s: the disk of node %d: %v", kind, h.ID, err)
			}
		}
		tr.Close()
	}
}
