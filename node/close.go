package node

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// closePatience is how long a clean shutdown waits for partitions and for the disk. What was acknowledged is on disk
// anyway: a shutdown that is cut short costs the next start some reading.
const closePatience = 20 * time.Second

// Close stops the node: others lead first, then it closes its doors, then partitions, the controller, the disk with everything
// it was given, then the stage, and last what carries words to other nodes. It may be called on a node whose start has failed,
// or that has failed since, and is then an error.
func (n *Node) Close() error {
	again := n.closing.Swap(true)
	if !again {
		close(n.closed)
	}
	if n.http != nil && !n.hasFailed() {
		n.http.Unready("stopping")
	}
	n.withdraw()
	var errs []error
	for _, d := range n.doors {
		errs = append(errs, d.Close())
	}
	if n.raised {
		errs = append(errs, Rest(n.stage))
	}
	if n.stage != nil {
		n.stage.Close()
	}
	if !n.raised && !again {
		close(n.housed) // nobody comes any more
	}
	errs = append(errs, n.closeMesh())
	if n.http != nil {
		errs = append(errs, n.http.Close())
	}
	if n.traces != nil {
		n.traces.Close(n.log)
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}

// withdrawPatience is how long others may take to relieve a node that stops. Who cannot be relieved stops all the same: the others
// then elect leaders when they miss it.
const withdrawPatience = 3 * time.Second

// withdraw has others lead what this node leads, while its doors are still open, so that clients go there before they must.
func (n *Node) withdraw() {
	if !n.raised || n.mesh == nil || n.hasFailed() || len(n.mesh.Peers()) == 0 || !n.config.Layers().Bool("controlled.shutdown.enable") {
		return
	}
	answer := make(chan any, 1)
	n.stage.Ask(message.BrokerAt(n.config.ID), &message.Withdraw{}, withdrawPatience, func(a any) { answer <- a })
	for {
		select {
		case a := <-answer:
			if _, relieved := a.(*message.Withdrawn); !relieved {
				n.log.Warn("nobody has relieved this node of what it leads: it stops all the same", "waited", withdrawPatience)
			}
			return
		case <-time.After(peersEvery):
			if len(n.mesh.Peers()) == 0 {
				return // they stop too
			}
		}
	}
}

// peersEvery is how often it is checked whether there is still somebody to hand over to.
const peersEvery = 50 * time.Millisecond

// Rest brings a stage's actors to rest before it is closed: every partition closes its log, the controller its own, and then
// the disk makes durable whatever it was given.
func Rest(s stage.Stage) error {
	img, _ := s.Published(message.BrokerAt(s.Node())).(*image.Image)
	s.Stop(message.BrokerAt(s.Node()))
	stopPartitions(s, img)
	s.Stop(message.ControllerAt(s.Node()))
	ask(s, message.ControllerAt(s.Node()), &message.DescribeQuorum{}, closePatience) // Down: it has let go of its log
	answer := ask(s, message.DiskAt(s.Node()), &message.Flushed{}, closePatience)
	if done, ok := answer.(*message.FlushDone); ok {
		if done.Err != nil {
			return fmt.Errorf("the data directory was not closed well: %w", done.Err)
		}
		return nil
	}
	return errors.New("the disk did not come to an end in time: the next start takes a little longer")
}

// stopPartitions returns when every replica of the node is gone: what is asked of an actor behind its stop is answered
// with Down.
func stopPartitions(s stage.Stage, img *image.Image) {
	if img == nil {
		return
	}
	var gone sync.WaitGroup
	for t := range img.Topics() {
		for i := range t.Partitions {
			if !t.Partitions[i].IsReplica(s.Node()) {
				continue
			}
			at := message.PartitionAt(s.Node(), t.At(int32(i)))
			gone.Add(1)
			s.Stop(at)
			s.Ask(at, &message.DescribeProducers{}, closePatience, func(any) { gone.Done() })
		}
	}
	gone.Wait()
}

// ask waits for an answer.
func ask(s stage.Stage, to message.Address, msg any, patience time.Duration) any {
	answer := make(chan any, 1)
	s.Ask(to, msg, patience, func(a any) { answer <- a })
	return <-answer
}
