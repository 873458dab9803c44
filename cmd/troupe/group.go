package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func newGroup() *cobra.Command {
	return group("group", "List, describe, reset, seek and delete consumer groups", `  troupe group describe billing
  troupe group reset billing --topic orders --to 1h --dry-run`,
		newGroupList(), newGroupDescribe(), newGroupReset(), newGroupSeek(), newGroupDelete())
}

// groupRow is a group in a list.
type groupRow struct {
	Group        string `json:"group"`
	State        string `json:"state"`
	ProtocolType string `json:"protocol_type"` // "consumer" for consumers
	Coordinator  int32  `json:"coordinator"`   // a node
}

func newGroupList() *cobra.Command {
	var b broker
	var p printer
	var states []string
	c := &cobra.Command{
		Use: "list", Short: "List groups with state and coordinator", Args: cobra.NoArgs,
		Example: `  troupe group list
  troupe group list --state Empty --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			return b.admin(c.Context(), func(a *kadm.Client) error {
				listed, err := a.ListGroups(c.Context(), states...)
				if err != nil {
					return err
				}
				rows := groupRows(listed)
				return p.print(c.OutOrStdout(), rows, "GROUP STATE TYPE COORDINATOR", func(row func(...any)) {
					for _, r := range rows {
						row(r.Group, r.State, dash(r.ProtocolType), r.Coordinator)
					}
				})
			})
		},
	}
	b.flag(c)
	p.flag(c)
	c.Flags().StringSliceVar(&states, "state", nil, "only groups in these `states`: Empty, PreparingRebalance, CompletingRebalance, Stable, Dead")
	return c
}

func groupRows(listed kadm.ListedGroups) []groupRow {
	rows := []groupRow{}
	for _, l := range listed.Sorted() {
		rows = append(rows, groupRow{l.Group, l.State, l.ProtocolType, l.Coordinator})
	}
	return rows
}

func newGroupDelete() *cobra.Command {
	var b broker
	c := &cobra.Command{
		Use: "delete GROUP...", Short: "Delete groups that have no members, with all that they have committed", Args: cobra.MinimumNArgs(1),
		Example: "  troupe group delete billing",
		RunE: func(c *cobra.Command, names []string) error {
			return b.admin(c.Context(), func(a *kadm.Client) error {
				gone, err := a.DeleteGroups(c.Context(), names...)
				if err != nil {
					return err
				}
				return eachTopic(c, names, func(name string) error {
					r, ok := gone[name]
					if !ok {
						return errors.New("the broker has said nothing about it")
					}
					return groupTrouble(told(r.Err, r.ErrMessage))
				})
			})
		},
	}
	b.flag(c)
	return c
}

// groupTrouble says what to do about an error that is about a group.
func groupTrouble(err error) error {
	switch {
	case errors.Is(err, kerr.NonEmptyGroup):
		return fmt.Errorf("it has members: stop them first (%w)", err)
	case errors.Is(err, kerr.GroupIDNotFound):
		return fmt.Errorf("%w (%w)", errNoGroup, err)
	}
	return err
}
