package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func newNode() *cobra.Command {
	return group("node", "List, drain and remove the nodes of a cluster", `  troupe node list
  troupe node drain 2 --wait && troupe node remove 2`,
		newNodeList(), newNodeDrain(), newNodeUndrain(), newNodeRemove())
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
