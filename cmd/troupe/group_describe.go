package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// groupSheet is everything about a group.
type groupSheet struct {
	Group        string         `json:"group"`
	State        string         `json:"state"`
	ProtocolType string         `json:"protocol_type"`
	Protocol     string         `json:"protocol"` // how partitions are assigned
	Coordinator  int32          `json:"coordinator"`
	Members      []groupMember  `json:"members"`
	Lag          int64          `json:"lag"`         // records, over all partitions in which something is committed
	LagSeconds   float64        `json:"lag_seconds"` // the age of the oldest record that is not read
	Partitions   []groupReading `json:"partitions"`
}

type groupMember struct {
	ID       string             `json:"id"`
	Instance string             `json:"instance,omitempty"`
	Client   string             `json:"client"`
	Host     string             `json:"host"`
	Assigned map[string][]int32 `json:"assigned"`
}

// groupReading is how far a group has read in a partition. What is null is not known: nothing is committed, or the age of the first
// unread record could not be found out.
type groupReading struct {
	Topic      string   `json:"topic"`
	Partition  int32    `json:"partition"`
	Committed  *int64   `json:"committed"`
	End        *int64   `json:"end"`
	Lag        *int64   `json:"lag"`
	LagSeconds *float64 `json:"lag_seconds"` // the age of the first record that is not read, 0 if there is none
	Member     string   `json:"member,omitempty"`
	Problem    string   `json:"problem,omitempty"`

	next int64 // the first record that is not read, if there is a lag
}

func newGroupDescribe() *cobra.Command {
	var b broker
	var p printer
	c := &cobra.Command{
		Use: "describe GROUP...", Short: "Show groups with members, assignments, committed offsets and lag", Args: cobra.MinimumNArgs(1),
		Long: `Show groups with members, assignments, committed offsets and lag.

The lag of a partition is told as records, from what is committed to the end, and as seconds: the age of the first record that is
not read. What is not known is -, or null with --json.`,
		Example: `  troupe group describe billing
  troupe group describe billing --json | jq .lag_seconds`,
		RunE: func(c *cobra.Command, names []string) error {
			return b.admin(c.Context(), func(a *kadm.Client) error {
				sheets, err := describeGroups(c.Context(), a, names)
				if err != nil {
					return err
				}
				for i := range sheets {
					if err := sheets[i].age(c.Context(), &b, time.Now()); err != nil {
						return err
					}
				}
				if p.json {
					return p.print(c.OutOrStdout(), sheets, "", nil)
				}
				for i := range sheets {
					if err := sheets[i].print(c.OutOrStdout()); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	b.flag(c)
	p.flag(c)
	return c
}

func describeGroups(ctx context.Context, a *kadm.Client, names []string) ([]groupSheet, error) {
	sheets := make([]groupSheet, 0, len(names))
	for _, name := range names {
		s, err := findGroup(ctx, a, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		committed, err := a.FetchOffsets(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("the offsets of %s: %w", name, err)
		}
		s.list(committed)
		ends, err := a.ListEndOffsets(ctx, s.topics()...)
		if err != nil {
			return nil, fmt.Errorf("the ends of what %s reads: %w", name, err)
		}
		starts, err := a.ListStartOffsets(ctx, s.topics()...)
		if err != nil {
			return nil, fmt.Errorf("the beginnings of what %s reads: %w", name, err)
		}
		s.measure(starts, ends)
		sheets = append(sheets, s)
	}
	return sheets, nil
}

// findGroup describes a group and its members, whichever protocol they speak; errNoGroup if there is none.
func findGroup(ctx context.Context, a *kadm.Client, name string) (groupSheet, error) {
	classic, err := a.DescribeGroups(ctx, name)
	if err != nil {
		return groupSheet{}, err
	}
	s, err := sheetOfClassic(classic[name])
	if !errors.Is(err, errNoGroup) {
		return s, err
	}
	// A group of KIP-848's protocol is none to the older API. A broker that does not know the newer one has no such groups.
	if consumers, err := a.DescribeConsumerGroups(ctx, name); err == nil && consumers[name].Err == nil && !dead(consumers[name].State) {
		return sheetOfConsumers(consumers[name]), nil
	}
	return s, err
}

// errNoGroup says that a group is not there.
var errNoGroup = errors.New("there is no such group: see 'troupe group list'")

// dead says that a state is that of a group that is not there, as brokers before Kafka 4.0 describe it.
func dead(state string) bool { return state == "Dead" || state == "" }

func sheetOfClassic(d kadm.DescribedGroup) (groupSheet, error) {
	if errors.Is(d.Err, kerr.GroupIDNotFound) || d.Err == nil && dead(d.State) {
		return groupSheet{}, errNoGroup
	}
	s := groupSheet{Group: d.Group, State: d.State, ProtocolType: d.ProtocolType, Protocol: d.Protocol, Coordinator: d.Coordinator.NodeID, Members: []groupMember{}}
	for _, m := range d.Members {
		s.Members = append(s.Members, memberOf(m))
	}
	return s, told(d.Err, d.ErrMessage)
}

func sheetOfConsumers(d kadm.DescribedConsumerGroup) groupSheet {
	s := groupSheet{Group: d.Group, State: d.State, ProtocolType: "consumer", Protocol: d.AssignorName, Coordinator: d.Coordinator.NodeID, Members: []groupMember{}}
	for _, m := range d.Members {
		out := groupMember{ID: m.MemberID, Client: m.ClientID, Host: m.ClientHost, Assigned: map[string][]int32{}}
		if m.InstanceID != nil {
			out.Instance = *m.InstanceID
		}
		for _, t := range m.Assignment.Sorted() {
			out.Assigned[t.Topic] = t.Partitions
		}
		s.Members = append(s.Members, out)
	}
	return s
}

func memberOf(m kadm.DescribedGroupMember) groupMember {
	out := groupMember{ID: m.MemberID, Client: m.ClientID, Host: m.ClientHost, Assigned: map[string][]int32{}}
	if m.InstanceID != nil {
		out.Instance = *m.InstanceID
	}
	if assigned, ok := m.Assigned.AsConsumer(); ok {
		for _, t := range assigned.Topics {
			out.Assigned[t.Topic] = slices.Sorted(slices.Values(t.Partitions))
		}
	}
	return out
}

func (s *groupSheet) print(out io.Writer) error {
	fmt.Fprintf(out, "%s  %s  protocol %s  coordinator %d  members %d  lag %d records, %.1f s\n", s.Group, s.State, dash(s.Protocol), s.Coordinator, len(s.Members), s.Lag, s.LagSeconds)
	if len(s.Members) > 0 {
		if err := table(out, "MEMBER CLIENT HOST ASSIGNED", func(row func(...any)) {
			for i := range s.Members {
				m := &s.Members[i]
				row(m.ID, dash(m.Client), m.Host, dash(assignedText(m.Assigned)))
			}
		}); err != nil {
			return err
		}
	}
	if len(s.Partitions) == 0 {
		return nil
	}
	return table(out, "TOPIC PARTITION COMMITTED END LAG SECONDS MEMBER", func(row func(...any)) {
		for i := range s.Partitions {
			r := &s.Partitions[i]
			row(r.Topic, r.Partition, known(r.Committed, "%d"), known(r.End, "%d"), known(r.Lag, "%d"), known(r.LagSeconds, "%.1f"), dash(r.Member), r.Problem)
		}
	})
}

// known is a number in a table, or a dash for one that is not known.
func known[N any](n *N, format string) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprintf(format, *n)
}

// assignedText is an assignment like "orders/0,1,2 returns/0".
func assignedText(assigned map[string][]int32) string {
	var parts []string
	for _, topic := range slices.Sorted(maps.Keys(assigned)) {
		parts = append(parts, topic+"/"+list32(assigned[topic]))
	}
	return strings.Join(parts, " ")
}
