package network

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// ways are what lies between nodes 1 and 2, modelled or real. Letters go from 1 to 2 and are numbered per lane.
type ways interface {
	send(on message.Lane, number int64, bytes int)
	cut(from message.NodeID) // nothing gets through from there, and nobody is told
	heal()
	reset()         // the connections are lost
	hold(bulk bool) // node 2 takes no bulk
	leave()         // node 2 ends
	join()          // and its next incarnation begins
	until(ok func() bool) bool
	heard(node message.NodeID) *ear
}

// ear writes down what a node hears, in the order in which it does: "control 3", "bulk 7", "down".
type ear struct {
	mu     sync.Mutex
	events []string
	held   chan struct{} // bulk waits for it to be closed
}

func (e *ear) Receive(l stage.Letter) {
	what := "?"
	switch w := l.Word.(type) {
	case *message.Pull:
		what = fmt.Sprintf("control %d", w.End)
	case *message.Pulled:
		e.mu.Lock()
		held := e.held
		e.mu.Unlock()
		if held != nil {
			<-held
		}
		what = fmt.Sprintf("bulk %d", w.HighWatermark)
	}
	e.note(what)
}

func (e *ear) PeerDown(message.NodeID) { e.note("down") }

func (e *ear) note(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, what)
}

func (e *ear) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.events)
}

func (e *ear) count(prefix string) (n int) {
	for _, one := range e.all() {
		if strings.HasPrefix(one, prefix) {
			n++
		}
	}
	return n
}

// letters is how many came.
func (e *ear) letters() int { return len(e.all()) - e.count("down") }

// forget drops all letters but so many of the first.
func (e *ear) forget(behind int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	letters := 0
	e.events = slices.DeleteFunc(e.events, func(event string) bool {
		if event == "down" {
			return false
		}
		letters++
		return letters > behind
	})
}

// letterOf is a letter of a lane.
func letterOf(on message.Lane, number int64, bytes int) stage.Letter {
	id := message.PartitionID{Topic: message.TopicID{1}}
	l := stage.Letter{From: message.PartitionAt(1, id), To: message.PartitionAt(2, id), Kind: stage.LetterWord, Word: &message.Pull{End: number}}
	if on == message.Bulk {
		l.Kind, l.Request, l.Word = stage.LetterAnswer, 1, &message.Pulled{HighWatermark: number, Batches: make([]byte, bytes)}
	}
	return l
}

const (
	wireSilence = 400 * time.Millisecond // patience of both meshes
	wireWindow  = 64 << 10
	wireQueue   = 256 << 10
)

// modelled is the simulator's mesh.
type modelled struct {
	mesh *Mesh
	time *stage.Scheduler
	port *Port
	ears [3]*ear
}

func newModelled(*testing.T) ways {
	w := &modelled{time: stage.NewScheduler(1, time.Unix(0, 0)), ears: [3]*ear{nil, {}, {}}}
	w.mesh = NewMesh(w.time, 1, MeshOptions{SilenceMin: wireSilence, SilenceMax: wireSilence, Credits: wireWindow, Queue: wireQueue})
	w.port = w.mesh.Port(1)
	w.port.Join(w.ears[1])
	w.join()
	w.time.RunFor(time.Second)
	return w
}

func (w *modelled) send(on message.Lane, number int64, bytes int) {
	w.port.Send(letterOf(on, number, bytes))
}
func (w *modelled) cut(from message.NodeID)        { w.mesh.Link(1, 2).Cut(from) }
func (w *modelled) heal()                          { w.mesh.Heal() }
func (w *modelled) reset()                         { w.mesh.Link(1, 2).Reset() }
func (w *modelled) leave()                         { w.mesh.Leave(2, false) }
func (w *modelled) join()                          { w.mesh.Port(2).Join(w.ears[2]) }
func (w *modelled) heard(node message.NodeID) *ear { return w.ears[node] }

func (w *modelled) hold(bulk bool) {
	if bulk {
		w.mesh.Link(1, 2).Clog(1)
		return
	}
	w.heal()
}

func (w *modelled) until(ok func() bool) bool {
	for range 2000 {
		if ok() {
			return true
		}
		w.time.RunFor(5 * time.Millisecond)
	}
	return ok()
}
