package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newCluster() *cobra.Command {
	return group("cluster", "Look at a cluster as a whole, or try one out", `  troupe cluster up 3
  troupe cluster status
  troupe cluster status --watch`,
		newClusterUp(), newClusterStatus())
}

// troubledShown is how many partitions with trouble a screen has room for.
const troubledShown = 10

func newClusterStatus() *cobra.Command {
	var b broker
	var p printer
	var watch bool
	var every time.Duration
	c := &cobra.Command{
		Use: "status", Short: "Show nodes, controller, leaders, and what is not fully replicated", Args: cobra.NoArgs,
		Long: `Show nodes, controller, leaders, and what is not fully replicated, on one screen.

A node is alive, drained (alive, and it gets no new replicas), fenced (it is registered, and was not heard from for too long), or gone (replicas are assigned to it, and it is
not registered). It votes on the metadata, leads those who vote, or observes. With --watch the screen is drawn again and again
until Ctrl-C; with --json as well, each look is a line.`,
		Example: "  troupe cluster status --bootstrap localhost:9092,localhost:9093 --watch",
		RunE: func(c *cobra.Command, _ []string) error {
			if every <= 0 {
				return usagef("--interval %s: write a time like 1s", every)
			}
			return b.connected(c.Context(), func(client *kgo.Client) error {
				colour := isTerminal(c.OutOrStdout())
				show := func(ctx context.Context, out io.Writer) error {
					pic, err := look(ctx, client)
					switch {
					case err != nil:
						return err
					case p.json && watch:
						return json.NewEncoder(out).Encode(pic)
					case p.json:
						return p.print(out, pic, "", nil)
					}
					return pic.draw(out, colour)
				}
				if !watch {
					return show(c.Context(), c.OutOrStdout())
				}
				ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
				defer stop()
				return repeat(ctx, every, c.OutOrStdout(), show)
			})
		},
	}
	b.flag(c)
	p.flag(c)
	c.Flags().BoolVarP(&watch, "watch", "w", false, "go on until it is interrupted")
	c.Flags().DurationVar(&every, "interval", time.Second, "how long to wait between two looks")
	return c
}

// repeat shows something until the context ends. What fails once may go well the next time: it is said, and no more.
func repeat(ctx context.Context, every time.Duration, out io.Writer, show func(context.Context, io.Writer) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		var screen bytes.Buffer
		err := show(ctx, &screen)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			fmt.Fprintf(&screen, "no answer: %v\n", err)
		}
		if isTerminal(out) {
			fmt.Fprint(out, "\x1b[H\x1b[2J")
		}
		if _, err := out.Write(screen.Bytes()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Colours of a terminal.
const (
	red   = "31"
	green = "32"
	bold  = "1"
)

// draw writes the picture for people.
func (p *picture) draw(out io.Writer, colour bool) error {
	paint := func(line, with string) string {
		if !colour || with == "" {
			return line
		}
		return "\x1b[" + with + "m" + line + "\x1b[0m"
	}
	fmt.Fprintln(out, paint(fmt.Sprintf("cluster %s  controller %s", p.Cluster, p.controller()), bold))
	fmt.Fprintln(out)
	moods := []string{bold}
	for _, m := range p.Nodes {
		moods = append(moods, map[bool]string{true: "", false: red}[m.State == alive])
	}
	if err := painted(out, paint, moods, func(out io.Writer) error { return memberTable(out, p.Nodes) }); err != nil {
		return err
	}
	fmt.Fprintln(out)
	health := green
	if p.UnderReplicated+p.Leaderless > 0 {
		health = red
	}
	fmt.Fprintln(out, paint(fmt.Sprintf("topics %d  partitions %d  under-replicated %d  without a leader %d  moving %d",
		p.Topics, p.Partitions, p.UnderReplicated, p.Leaderless, p.Moving), health))
	shown := p.Troubled[:min(len(p.Troubled), troubledShown)]
	if len(shown) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	if err := painted(out, paint, []string{bold}, func(out io.Writer) error { return spreadTable(out, shown) }); err != nil {
		return err
	}
	if more := len(p.Troubled) - len(shown); more > 0 {
		fmt.Fprintf(out, "and %d more: see 'troupe partition list --troubled'\n", more)
	}
	return nil
}

// painted writes a table whose lines have moods; those beyond the moods have none.
func painted(out io.Writer, paint func(line, with string) string, moods []string, fill func(io.Writer) error) error {
	var plain bytes.Buffer
	if err := fill(&plain); err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimSuffix(plain.String(), "\n"), "\n") {
		mood := ""
		if i < len(moods) {
			mood = moods[i]
		}
		fmt.Fprintln(out, paint(line, mood))
	}
	return nil
}

func (p *picture) controller() string {
	if p.Controller < 0 {
		return "none"
	}
	return fmt.Sprintf("%d (term %d)", p.Controller, p.Term)
}
