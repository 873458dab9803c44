package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// reset is what the flags of the command say.
type reset struct {
	broker
	printer
	topic, to  string
	partitions []int32
	dry        bool
}

func newGroupReset() *cobra.Command {
	var s reset
	c := &cobra.Command{
		Use: "reset GROUP", Short: "Commit other offsets for a group that has no members", Args: cobra.ExactArgs(1),
		Long: `Commit other offsets for a group that has no members, so that they go on from there when they come back.

--to takes start, end, an offset, +N or -N (N records on from what is committed, or back), a time like 2026-11-20T12:00:00Z, or how long
ago, like 1h30m. An offset beyond what a partition holds becomes the nearest that it holds.`,
		Example: `  troupe group reset billing --topic orders --to start
  troupe group reset billing --topic orders --to 1h --dry-run
  troupe group reset billing --topic orders --partition 3 --to -100`,
		RunE: func(c *cobra.Command, args []string) error {
			to, err := goalOf(s.to)
			if err != nil {
				return err
			}
			if s.topic == "" {
				return usagef("say which topic: --topic TOPIC")
			}
			return s.admin(c.Context(), func(a *kadm.Client) error { return s.run(c, a, args[0], to) })
		},
	}
	s.broker.flag(c)
	s.printer.flag(c)
	f := c.Flags()
	f.StringVar(&s.topic, "topic", "", "the `topic`")
	f.Int32SliceVar(&s.partitions, "partition", nil, "only these partitions")
	f.StringVar(&s.to, "to", "", "where to: a `place`")
	f.BoolVar(&s.dry, "dry-run", false, "show what would be committed, and commit nothing")
	return c
}

// goal is where to reset to: a place in the log, or so far from what is committed.
type goal struct {
	place
	shift int64 // if place is nowhere
}

// goalOf reads what --to of a reset takes.
func goalOf(text string) (goal, error) {
	if text == "" {
		return goal{}, usagef("say where to: --to start, end, an offset, +N, -N, or a time")
	}
	if text[0] == '+' || text[0] == '-' {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return goal{shift: n}, nil
		}
	}
	at, err := placeOf("--to", text)
	if err != nil || text[0] == '+' || text[0] == '-' {
		return goal{}, usagef("--to %s: write start, end, an offset, +N, -N, a time like 2026-11-20T12:00:00Z, or how long ago, like 1h30m", text)
	}
	return goal{place: at}, nil
}

// resetRow is what is committed in a partition, and what is to be.
type resetRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed *int64 `json:"committed"` // before; null: nothing
	To        int64  `json:"to"`
}

func (s *reset) run(c *cobra.Command, a *kadm.Client, name string, to goal) error {
	return recommit(c, a, name, s.dry, &s.printer, func() ([]resetRow, error) { return s.rows(c.Context(), a, name, to) })
}

// recommit commits for a group that has no members what is found, unless it is dry, and prints it.
func recommit(c *cobra.Command, a *kadm.Client, name string, dry bool, p *printer, find func() ([]resetRow, error)) error {
	ctx := c.Context()
	if err := resettable(findGroup(ctx, a, name)); err != nil {
		return err
	}
	rows, err := find()
	if err != nil {
		return err
	}
	if !dry {
		if err := commitRows(ctx, a, name, rows); err != nil {
			return err
		}
	}
	return p.print(c.OutOrStdout(), rows, "TOPIC PARTITION COMMITTED TO", func(row func(...any)) {
		for _, r := range rows {
			row(r.Topic, r.Partition, known(r.Committed, "%d"), r.To)
		}
	})
}

// resettable says why a group cannot be reset: its members would commit over it, and go on where they are. One that is not there
// can be: it comes about with what is committed.
func resettable(s groupSheet, err error) error {
	switch {
	case errors.Is(err, errNoGroup):
		return nil
	case err != nil:
		return err
	case len(s.Members) > 0 || s.State != "Empty":
		return fmt.Errorf("%s is %s and has members (%d): stop them first, they would commit over what is reset (see 'troupe group describe %s')", s.Group, s.State, len(s.Members), s.Group)
	}
	return nil
}

// rows finds what is to be committed.
func (s *reset) rows(ctx context.Context, a *kadm.Client, name string, to goal) ([]resetRow, error) {
	topics, err := a.ListTopicsWithInternal(ctx, s.topic)
	if err != nil {
		return nil, err
	}
	if t := topics[s.topic]; t.Err != nil {
		return nil, noTopic(s.topic, t.Err)
	}
	chosen, err := choosePartitions(s.topic, topics[s.topic].Partitions.Numbers(), s.partitions)
	if err != nil {
		return nil, err
	}
	b, err := boundsOf(ctx, a, s.topic, to.place)
	if err != nil {
		return nil, err
	}
	committed, err := a.FetchOffsets(ctx, name)
	if err != nil {
		return nil, err
	}
	return to.rows(b, chosen, committed)
}

// choosePartitions are those of a topic that were asked for, all if none was.
func choosePartitions(topic string, all, wanted []int32) ([]int32, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	for _, p := range wanted {
		if !slices.Contains(all, p) {
			return nil, fmt.Errorf("%s has no partition %d: it has %d", topic, p, len(all))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(wanted))), nil
}

func (g goal) rows(b *bounds, partitions []int32, committed kadm.OffsetResponses) ([]resetRow, error) {
	rows := []resetRow{}
	for _, p := range partitions {
		r := resetRow{Topic: b.topic, Partition: p}
		if o, ok := committed.Lookup(b.topic, p); ok && o.Err == nil && o.At >= 0 {
			r.Committed = &o.At
		}
		switch {
		case g.kind != nowhere:
			r.To = b.offset(p, g.place)
		case r.Committed == nil:
			return nil, fmt.Errorf("%s partition %d: nothing is committed there that %+d could be counted from: name a place, like --to start", b.topic, p, g.shift)
		default:
			r.To = *r.Committed + g.shift
		}
		r.To = min(max(r.To, b.in(b.start, p)), b.in(b.end, p))
		rows = append(rows, r)
	}
	return rows, nil
}

func commitRows(ctx context.Context, a *kadm.Client, name string, rows []resetRow) error {
	offsets := kadm.Offsets{}
	for _, r := range rows {
		offsets.Add(kadm.Offset{Topic: r.Topic, Partition: r.Partition, At: r.To, LeaderEpoch: -1})
	}
	done, err := a.CommitOffsets(ctx, name, offsets)
	if err == nil {
		err = done.Error()
	}
	if errors.Is(err, kerr.UnknownMemberID) {
		return fmt.Errorf("%s has got members meanwhile: stop them first (%w)", name, err)
	}
	return err
}
