package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newNodeDrain() *cobra.Command {
	var b broker
	var p printer
	var force, wait bool
	c := &cobra.Command{
		Use: "drain NODE", Short: "Move everything that a node keeps to other nodes", Args: cobra.ExactArgs(1),
		Long: `Move everything that a node keeps, and leads, to other nodes, so that it can be stopped and removed for good. From then on it gets
no new replicas, until 'troupe node undrain'. It works for a node that is down, too: others keep its replicas then.

The replicas go to nodes that keep few, in other racks than the rest of the partition where that can be; what moves has as many
replicas in sync as before until it has moved. A partition for which no node is left is refused; with --force it goes on with one
replica less, but not with fewer than its min.insync.replicas: what is acknowledged would have fewer copies than that.`,
		Example: `  troupe node drain 2 --wait
  troupe partition list --moving`,
		RunE: func(c *cobra.Command, args []string) error {
			id, err := nodeID(args[0])
			if err != nil {
				return err
			}
			return b.connected(c.Context(), func(client *kgo.Client) error {
				return drain(c.Context(), client, c.OutOrStdout(), id, force, wait, &p)
			})
		},
	}
	b.flag(c)
	p.flag(c)
	c.Flags().BoolVar(&force, "force", false, "let partitions go on with fewer replicas where no node is left for them")
	c.Flags().BoolVar(&wait, "wait", false, "wait until everything has moved, and show how much is left")
	return c
}

// drain plans twice: what cannot be is refused before anything changes, and what was made meanwhile moves as well.
func drain(ctx context.Context, client *kgo.Client, out io.Writer, id int32, force, wait bool, p *printer) error {
	pic, _, err := evacuation(ctx, client, id, force)
	if err == nil {
		err = cordon(ctx, client, pic, id, true)
	}
	if err != nil {
		return err
	}
	pic, moves, err := evacuation(ctx, client, id, force)
	if err == nil {
		p.say(out, "node %d gets no new replicas; %d partitions move to other nodes\n", id, len(moves))
		err = start(ctx, client, moves)
	}
	if err != nil {
		return fmt.Errorf("%w; node %d gets no new replicas until 'troupe node undrain %d'", err, id, id)
	}
	if wait {
		err = settled(ctx, client, func(s *spread) bool { return !slices.Contains(s.Replicas, id) }, func(left int) {
			p.say(out, "%d of %d partitions are left\n", left, len(moves))
		})
	}
	if err == nil && wait {
		p.say(out, "node %d keeps nothing any more: %s\n", id, pic.farewell(id))
	}
	if err == nil {
		err = p.tell(out, moved{Node: &id, Moves: moveRows(moves), Done: wait})
	}
	return err
}

// farewell is what to do with a node that keeps nothing.
func (p *picture) farewell(id int32) string {
	if p.find(id).State == alive {
		return fmt.Sprintf("it can be stopped, and then removed with 'troupe node remove %d'", id)
	}
	return fmt.Sprintf("it can be removed with 'troupe node remove %d'", id)
}

// evacuation looks at the cluster and plans.
func evacuation(ctx context.Context, client *kgo.Client, id int32, force bool) (*picture, []move, error) {
	pic, err := look(ctx, client)
	if err == nil {
		_, err = pic.known(id)
	}
	if err == nil && force {
		err = pic.askPromises(ctx, client)
	}
	if err != nil {
		return nil, nil, err
	}
	moves, err := pic.evacuate(id, force)
	return pic, moves, err
}

// evacuate plans where the replicas of a node go. Each takes the place of the one that it replaces, so that preferred leaders
// are spread as the replicas are.
func (p *picture) evacuate(id int32, force bool) ([]move, error) {
	var moves []move
	var no obstacles
	load, racks := map[int32]int{}, map[int32]string{}
	for _, m := range p.Nodes {
		if racks[m.Node] = m.Rack; m.State == alive && !m.Cordoned && m.Node != id {
			load[m.Node] = m.Replicas
		}
	}
	down := p.find(id) == nil || p.find(id).State != alive
	for i := range p.all {
		s := &p.all[i]
		to := s.target()
		at := slices.Index(to, id)
		if at < 0 {
			continue
		}
		n, ok := lightest(load, racks, to, id)
		switch {
		case down && slices.Equal(s.ISR, []int32{id}):
			no.lost = append(no.lost, s.name())
			continue
		case ok:
			to[at] = n
			load[n]++
		case !force:
			no.place = append(no.place, s.name())
			continue
		case len(to) == 1:
			no.other = append(no.other, s.name())
			continue
		case len(to)-1 < p.promises[s.Topic]:
			no.promise = append(no.promise, s.name())
			continue
		default:
			to = slices.Delete(to, at, at+1)
		}
		moves = append(moves, move{s.Topic, s.Partition, to})
	}
	return moves, no.refusal(id, len(load))
}

// obstacles are the partitions that cannot leave a node, by why.
type obstacles struct{ lost, place, other, promise []string }

// refusal says the first reason and what to do; nil if there is none.
func (o *obstacles) refusal(id int32, others int) error {
	switch {
	case len(o.lost) > 0:
		return fmt.Errorf("of %d partitions (%s first) node %d, which is down, has the only copy in sync: start it, or give up what only it has with 'troupe partition elect --unclean %s'",
			len(o.lost), o.lost[0], id, o.lost[0])
	case len(o.place) > 0:
		return fmt.Errorf("%d partitions (%s first) have nowhere to go, for of the other nodes %d are alive and take replicas: start another node, or use --force to go on with fewer replicas",
			len(o.place), o.place[0], others)
	case len(o.other) > 0:
		return fmt.Errorf("%d partitions (%s first) have no other replica and nowhere to go: start another node, or delete their topics", len(o.other), o.other[0])
	case len(o.promise) > 0:
		return fmt.Errorf("%d partitions (%s first) would have fewer replicas than their min.insync.replicas: start another node, or lower that first",
			len(o.promise), o.promise[0])
	}
	return nil
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

func newNodeUndrain() *cobra.Command {
	var b broker
	var p printer
	c := &cobra.Command{
		Use: "undrain NODE", Short: "Take a drained node into use again", Args: cobra.ExactArgs(1),
		Long: `Take a drained node into use again: it may get new replicas, and moves away from it that are under way are called off. What has
moved already stays where it is; 'troupe partition move' brings it back.`,
		Example: "  troupe node undrain 2",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := nodeID(args[0])
			if err != nil {
				return err
			}
			return b.connected(c.Context(), func(client *kgo.Client) error { return undrain(c.Context(), client, c.OutOrStdout(), id, &p) })
		},
	}
	b.flag(c)
	p.flag(c)
	return c
}

func undrain(ctx context.Context, client *kgo.Client, out io.Writer, id int32, p *printer) error {
	pic, err := look(ctx, client)
	if err == nil {
		_, err = pic.known(id)
	}
	if err == nil {
		err = cordon(ctx, client, pic, id, false)
	}
	if err != nil {
		return err
	}
	var off []move
	for _, s := range pic.all {
		if slices.Contains(s.Removing, id) {
			off = append(off, move{topic: s.Topic, partition: s.Partition})
		}
	}
	p.say(out, "node %d gets new replicas again; %d moves away from it are called off\n", id, len(off))
	if err := start(ctx, client, off, kerr.NoReassignmentInProgress); err != nil {
		return err
	}
	return p.tell(out, moved{Node: &id, Moves: moveRows(off), Done: true})
}
