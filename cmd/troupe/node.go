package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func newNode() *cobra.Command {
	return group("node", "List, empty and remove the nodes of a cluster", `  troupe node list
  troupe node drain 2 --wait && troupe node remove 2`,
		newNodeList(), newNodeDrain(), newNodeRemove())
}

func newNodeList() *cobra.Command {
	var b broker
	var p printer
	c := &cobra.Command{
		Use: "list", Short: "List nodes, what they lead and what they keep", Args: cobra.NoArgs,
		Example: "  troupe node list --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return b.connected(c.Context(), func(client *kgo.Client) error {
				pic, err := look(c.Context(), client)
				if err != nil {
					return err
				}
				if p.json {
					return p.print(c.OutOrStdout(), pic.Nodes, "", nil)
				}
				return memberTable(c.OutOrStdout(), pic.Nodes)
			})
		},
	}
	b.flag(c)
	p.flag(c)
	return c
}

// nodeID reads a node's number.
func nodeID(text string) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, usagef("%s is no node: write its number, like 2", text)
	}
	return int32(n), nil
}

// known finds a node that a command is about.
func (p *picture) known(id int32) (*member, error) {
	if m := p.find(id); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("there is no node %d: 'troupe node list' shows those there are", id)
}

func newNodeRemove() *cobra.Command {
	var b broker
	var force bool
	c := &cobra.Command{
		Use: "remove NODE", Short: "Take a stopped node out of the cluster", Args: cobra.ExactArgs(1),
		Long: `Take a stopped node out of the cluster. A node that still takes part is refused: stop it first.

Partitions that have replicas on it would be short of one for ever, so that is refused too: 'troupe node drain' moves them
elsewhere, also while the node is down. --force removes it all the same.`,
		Example: "  troupe node remove 2",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := nodeID(args[0])
			if err != nil {
				return err
			}
			return b.connected(c.Context(), func(client *kgo.Client) error { return remove(c.Context(), client, id, force) })
		},
	}
	b.flag(c)
	c.Flags().BoolVar(&force, "force", false, "remove it though partitions have replicas on it")
	return c
}

func remove(ctx context.Context, client *kgo.Client, id int32, force bool) error {
	pic, err := look(ctx, client)
	if err != nil {
		return err
	}
	m, err := pic.known(id)
	switch {
	case err != nil:
		return err
	case m.State == alive:
		return fmt.Errorf("node %d takes part in the cluster: stop it before you remove it", id)
	case m.Replicas > 0 && !force:
		return fmt.Errorf("node %d has replicas of %d partitions: move them with 'troupe node drain %d', or use --force to leave the partitions without them", id, m.Replicas, id)
	}
	q := kmsg.NewPtrUnregisterBrokerRequest()
	q.BrokerID = id
	r, err := q.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	return told(kerr.ErrorForCode(r.ErrorCode), textOf(r.ErrorMessage))
}

func newNodeDrain() *cobra.Command {
	var b broker
	var force, wait bool
	c := &cobra.Command{
		Use: "drain NODE", Short: "Move everything that a node keeps to other nodes", Args: cobra.ExactArgs(1),
		Long: `Move everything that a node keeps to other nodes, so that it can be stopped and removed for good. It works for a node that is
down, too: others keep their copies again.

The replicas go to nodes that keep few, in other racks than the rest of the partition where that can be. A partition for which
no node is left is refused; with --force it goes on with one replica less, if it has another one.`,
		Example: `  troupe node drain 2 --wait
  troupe partition list --moving`,
		RunE: func(c *cobra.Command, args []string) error {
			id, err := nodeID(args[0])
			if err != nil {
				return err
			}
			return b.connected(c.Context(), func(client *kgo.Client) error {
				return drain(c.Context(), client, c.OutOrStdout(), id, force, wait)
			})
		},
	}
	b.flag(c)
	c.Flags().BoolVar(&force, "force", false, "let partitions go on with fewer replicas where no node is left for them")
	c.Flags().BoolVar(&wait, "wait", false, "wait until everything has moved")
	return c
}

func drain(ctx context.Context, client *kgo.Client, out io.Writer, id int32, force, wait bool) error {
	pic, err := look(ctx, client)
	if err == nil {
		_, err = pic.known(id)
	}
	if err != nil {
		return err
	}
	moves, err := pic.evacuate(id, force)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "moving %d partitions away from node %d\n", len(moves), id)
	if err := start(ctx, client, moves); err != nil || !wait {
		return err
	}
	err = settled(ctx, client, func(s *spread) bool { return !slices.Contains(s.Replicas, id) })
	if err == nil {
		fmt.Fprintf(out, "node %d keeps nothing any more: it can be stopped, and then removed with 'troupe node remove %d'\n", id, id)
	}
	return err
}

// move is where a partition's replicas shall be; nil cancels a move.
type move struct {
	topic     string
	partition int32
	replicas  []int32
}

// evacuate plans where the replicas of a node go. Each takes the place of the one that it replaces, so that preferred leaders
// are spread as the replicas are.
func (p *picture) evacuate(id int32, force bool) ([]move, error) {
	var moves []move
	var stuck []string
	load, racks := map[int32]int{}, map[int32]string{}
	for _, m := range p.Nodes {
		if racks[m.Node] = m.Rack; m.State == alive && m.Node != id {
			load[m.Node] = m.Replicas
		}
	}
	for i := range p.all {
		s := &p.all[i]
		at := slices.Index(s.target(), id)
		if at < 0 {
			continue
		}
		to := s.target()
		if n, ok := lightest(load, racks, to, id); ok {
			to[at] = n
			load[n]++
		} else if to = slices.Delete(to, at, at+1); !force || len(to) == 0 {
			stuck = append(stuck, s.name())
			continue
		}
		moves = append(moves, move{s.Topic, s.Partition, to})
	}
	switch {
	case len(stuck) == 0:
		return moves, nil
	case force:
		return nil, fmt.Errorf("%d partitions (%s first) have no other replica and nowhere to go: start another node, or delete their topics", len(stuck), stuck[0])
	}
	return nil, fmt.Errorf("%d partitions (%s first) have nowhere to go, for of the other nodes %d are alive: start another node, or use --force to go on with fewer replicas",
		len(stuck), stuck[0], len(load))
}

// target is where a partition's replicas are, or are going to be if it is on the move.
func (s *spread) target() []int32 {
	return slices.DeleteFunc(slices.Clone(s.Replicas), func(n int32) bool { return slices.Contains(s.Removing, n) })
}

// lightest is the node with the fewest replicas that has none of a partition yet, in a rack of its own if there is one.
func lightest(load map[int32]int, racks map[int32]string, taken []int32, leaving int32) (best int32, ok bool) {
	crowded := func(n int32) bool {
		return slices.ContainsFunc(taken, func(other int32) bool { return other != leaving && racks[other] == racks[n] })
	}
	better := func(n, than int32) bool {
		if crowded(n) != crowded(than) {
			return crowded(than)
		}
		return load[n] < load[than] || load[n] == load[than] && n < than
	}
	for n := range load {
		if !slices.Contains(taken, n) && (!ok || better(n, best)) {
			best, ok = n, true
		}
	}
	return best, ok
}

// start asks for moves; those that are refused are told one by one.
func start(ctx context.Context, client *kgo.Client, moves []move) error {
	var q kadm.AlterPartitionAssignmentsReq
	for _, m := range moves {
		q.Assign(m.topic, m.partition, m.replicas)
	}
	fates, err := kadm.NewClient(client).AlterPartitionAssignments(ctx, q)
	if err != nil {
		return err
	}
	var refused []string
	for _, f := range fates.Sorted() {
		if f.Err != nil {
			refused = append(refused, fmt.Sprintf("%s/%d: %v", f.Topic, f.Partition, told(f.Err, f.ErrMessage)))
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("%d of %d moves are refused, the first is %s", len(refused), len(moves), refused[0])
	}
	return nil
}

// settlePause is how long to wait between two looks at what is moving.
const settlePause = 250 * time.Millisecond

// settled waits until every partition is as it should be.
func settled(ctx context.Context, client *kgo.Client, done func(*spread) bool) error {
	for {
		all, err := spreads(ctx, client)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(s spread) bool { return !done(&s) }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settlePause):
		}
	}
}
