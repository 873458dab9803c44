package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newPartition() *cobra.Command {
	return group("partition", "List partitions, move their replicas, elect their leaders", `  troupe partition list orders
  troupe partition move orders/3 --to 2,3,1 --wait
  troupe partition elect --all`,
		newPartitionList(), newPartitionMove(), newPartitionElect())
}

func newPartitionList() *cobra.Command {
	var b broker
	var p printer
	var troubled, moving bool
	c := &cobra.Command{
		Use: "list [TOPIC...]", Short: "List partitions with leader and replicas",
		Example: "  troupe partition list --troubled",
		RunE: func(c *cobra.Command, topics []string) error {
			return b.connected(c.Context(), func(client *kgo.Client) error {
				all, err := spreads(c.Context(), client, topics...)
				if err != nil {
					return err
				}
				all = slices.DeleteFunc(all, func(s spread) bool { return troubled && !s.troubled() || moving && !s.moving() })
				if p.json {
					return p.print(c.OutOrStdout(), all, "", nil)
				}
				return spreadTable(c.OutOrStdout(), all)
			})
		},
	}
	b.flag(c)
	p.flag(c)
	c.Flags().BoolVar(&troubled, "troubled", false, "only those without a leader, or with a replica that is not in sync")
	c.Flags().BoolVar(&moving, "moving", false, "only those that are on the move")
	return c
}

// partitionsOf reads partitions, each written TOPIC/NUMBER.
func partitionsOf(names []string) (kadm.TopicsSet, error) {
	set := kadm.TopicsSet{}
	for _, name := range names {
		topic, number, ok := strings.Cut(name, "/")
		n, err := strconv.ParseInt(number, 10, 32)
		if !ok || topic == "" || err != nil || n < 0 {
			return nil, usagef("%s is no partition: write topic and number, like orders/3", name)
		}
		set.Add(topic, int32(n))
	}
	return set, nil
}

// moving is what the flags of the command say.
type moving struct {
	broker
	printer
	to           []int32
	cancel, wait bool
	keep         bool
}

func newPartitionMove() *cobra.Command {
	var m moving
	c := &cobra.Command{
		Use: "move PARTITION...", Short: "Put the replicas of partitions on other nodes", Args: cobra.MinimumNArgs(1),
		Long: `Put the replicas of partitions on other nodes. A partition is written TOPIC/NUMBER; the first node is to lead it.

The new replicas catch up first, then the old ones go. A move that is under way is changed by another one, and called off with
--cancel.`,
		Example: `  troupe partition move orders/3 --to 2,3,1 --wait
  troupe partition move orders/3 --cancel`,
		RunE: func(c *cobra.Command, args []string) error {
			if m.cancel == (len(m.to) > 0) {
				return usagef("say where to: --to NODE,NODE, or --cancel")
			}
			set, err := partitionsOf(args)
			if err != nil {
				return err
			}
			return m.connected(c.Context(), func(client *kgo.Client) error { return m.run(c.Context(), client, c.OutOrStdout(), set) })
		},
	}
	m.broker.flag(c)
	m.printer.flag(c)
	c.Flags().Int32SliceVar(&m.to, "to", nil, "the `nodes` for the replicas, the preferred leader first")
	c.Flags().BoolVar(&m.cancel, "cancel", false, "call off a move that is under way")
	c.Flags().BoolVar(&m.keep, "keep-replicas", false, "refuse to change how many replicas there are")
	c.Flags().BoolVar(&m.wait, "wait", false, "wait until the move is done")
	return c
}

func (m *moving) run(ctx context.Context, client *kgo.Client, out io.Writer, set kadm.TopicsSet) error {
	var moves []move
	for _, t := range set.Sorted() {
		for _, n := range t.Partitions {
			moves = append(moves, move{t.Topic, n, m.to})
		}
	}
	asking := ctx
	if m.keep {
		asking = kadm.ForbidAlterRf(ctx)
	}
	err := start(asking, client, moves)
	if err == nil && m.wait {
		err = settled(ctx, client, func(s *spread) bool { return !set.Lookup(s.Topic, s.Partition) || !s.moving() }, func(int) {})
	}
	if err == nil {
		err = m.tell(out, moved{Moves: moveRows(moves), Done: m.wait})
	}
	return err
}

func newPartitionElect() *cobra.Command {
	var b broker
	var all, unclean bool
	c := &cobra.Command{
		Use: "elect [PARTITION...]", Short: "Give leadership back to the preferred replicas",
		Long: `Give leadership back to the preferred replicas, the first in each list. A partition is written TOPIC/NUMBER. One that is led by it
already is fine as it is.

With --unclean a partition that has no leader gets any replica that is alive as its leader, also one that was not in sync: records
that were acknowledged may be lost.`,
		Example: `  troupe partition elect --all
  troupe partition elect orders/3 --unclean`,
		RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usagef("say which: partitions like orders/3, or --all")
			}
			set, err := partitionsOf(args)
			if err != nil {
				return err
			}
			how := kadm.ElectPreferredReplica
			if unclean {
				how = kadm.ElectLiveReplica
			}
			if all {
				set = nil
			}
			return b.admin(c.Context(), func(a *kadm.Client) error { return elect(c, a, how, set) })
		},
	}
	b.flag(c)
	c.Flags().BoolVar(&all, "all", false, "every partition there is")
	c.Flags().BoolVar(&unclean, "unclean", false, "elect where nobody leads, though records may be lost")
	return c
}

func elect(c *cobra.Command, a *kadm.Client, how kadm.ElectLeadersHow, set kadm.TopicsSet) error {
	fates, err := a.ElectLeaders(c.Context(), how, set)
	if err != nil {
		return err
	}
	byName := map[string]kadm.ElectLeadersResult{}
	for topic, partitions := range fates {
		for n, r := range partitions {
			byName[fmt.Sprintf("%s/%d", topic, n)] = r
		}
	}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return eachTopic(c, names, func(name string) error {
		r := byName[name]
		switch {
		case errors.Is(r.Err, kerr.ElectionNotNeeded):
			return nil
		case r.Err == nil:
			fmt.Fprintf(c.OutOrStdout(), "%s has a new leader\n", name)
		}
		return told(r.Err, r.ErrMessage)
	})
}
