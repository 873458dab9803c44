package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// seek is what the flags of the command say.
type seek struct {
	broker
	printer
	time string
	dry  bool
}

func newGroupSeek() *cobra.Command {
	var s seek
	c := &cobra.Command{
		Use: "seek GROUP POSITION...", Short: "Commit given positions for a group that has no members", Args: cobra.MinimumNArgs(2),
		Long: `Commit given positions for a group that has no members, so that they go on from there when they come back. All of them are committed,
or none.

A position is TOPIC:PARTITION=PLACE (or TOPIC/PARTITION=PLACE), or TOPIC=PLACE for all of its partitions. A place is start, end, an offset, +N or -N (N records on from
what is committed, or back), a time like 2026-11-20T12:00:00Z, or how long ago, like 1h30m. With --to-time positions have no place of their own. An
offset beyond what a partition holds becomes the nearest that it holds.`,
		Example: `  troupe group seek billing orders:0=1500 orders:1=1498
  troupe group seek billing orders=start payments:3=-100 --dry-run
  troupe group seek billing orders payments --to-time 1h`,
		RunE: func(c *cobra.Command, args []string) error {
			all, err := s.positions(args[1:])
			if err != nil {
				return err
			}
			return s.admin(c.Context(), func(a *kadm.Client) error { return s.run(c, a, args[0], all) })
		},
	}
	s.broker.flag(c)
	s.printer.flag(c)
	c.Flags().StringVar(&s.time, "to-time", "", "a `time`, or how long ago, for all positions")
	c.Flags().BoolVar(&s.dry, "dry-run", false, "show what would be committed, and commit nothing")
	return c
}

// position is where a partition of a topic, or all of them, shall go on.
type position struct {
	topic     string
	partition int32 // -1: all
	to        goal
}

// positions reads the arguments, which name no partition twice.
func (s *seek) positions(args []string) (all []position, err error) {
	for _, arg := range args {
		p, err := s.position(arg)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o position) bool {
			return o.topic == p.topic && (o.partition == p.partition || o.partition < 0 || p.partition < 0)
		}) {
			return nil, usagef("%s: that partition is named twice", arg)
		}
		all = append(all, p)
	}
	return all, nil
}

func (s *seek) position(arg string) (p position, err error) {
	name, place, placed := strings.Cut(arg, "=")
	switch {
	case placed && s.time != "":
		return p, usagef("%s: with --to-time positions have no place of their own", arg)
	case !placed && s.time == "":
		return p, usagef("%s: write TOPIC:PARTITION=PLACE or TOPIC=PLACE, or say --to-time", arg)
	case placed:
		p.to, err = goalOf(place)
	default:
		if p.to, err = goalOf(s.time); err == nil && p.to.kind != atTime {
			err = usagef("--to-time %s: write a time like 2026-11-20T12:00:00Z, or how long ago, like 1h30m", s.time)
		}
	}
	p.topic, p.partition = name, -1
	if at := strings.IndexAny(name, ":/"); at >= 0 && err == nil {
		n, bad := strconv.ParseInt(name[at+1:], 10, 32)
		if bad != nil || n < 0 {
			return p, usagef("%s: %q is no partition", arg, name[at+1:])
		}
		p.topic, p.partition = name[:at], int32(n)
	}
	return p, err
}

func (s *seek) run(c *cobra.Command, a *kadm.Client, name string, all []position) error {
	return recommit(c, a, name, s.dry, &s.printer, func() ([]resetRow, error) { return seekRows(c.Context(), a, name, all) })
}

// seekRows finds what is to be committed, position by position.
func seekRows(ctx context.Context, a *kadm.Client, name string, all []position) (rows []resetRow, err error) {
	for _, p := range all {
		one := reset{topic: p.topic}
		if p.partition >= 0 {
			one.partitions = []int32{p.partition}
		}
		more, err := one.rows(ctx, a, name, p.to)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}
