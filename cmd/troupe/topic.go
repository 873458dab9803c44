package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/troupe-broker/troupe/actors/message"
)

func newTopic() *cobra.Command {
	return group("topic", "Create, list, describe, alter and delete topics", `  troupe topic create orders --partitions 12
  troupe topic describe orders --json`,
		newTopicCreate(), newTopicList(), newTopicDescribe(), newTopicAlter(), newTopicDelete())
}

func newTopicCreate() *cobra.Command {
	var b broker
	var partitions int32
	var replicas int16
	var configs []string
	var lenient bool
	c := &cobra.Command{
		Use: "create NAME...", Short: "Create topics", Args: cobra.MinimumNArgs(1),
		Example: "  troupe topic create orders --partitions 12 --config retention.ms=3600000",
		RunE: func(c *cobra.Command, names []string) error {
			overrides, err := pairs("--config", configs)
			if err != nil {
				return err
			}
			return b.admin(c.Context(), func(a *kadm.Client) error {
				made, err := a.CreateTopics(c.Context(), partitions, replicas, overrides, names...)
				if err != nil {
					return err
				}
				return eachTopic(c, names, func(name string) error {
					if r := made[name]; !lenient || !errors.Is(r.Err, kerr.TopicAlreadyExists) {
						return told(r.Err, r.ErrMessage)
					}
					return nil
				})
			})
		},
	}
	b.flag(c)
	c.Flags().Int32VarP(&partitions, "partitions", "p", -1, "how many partitions; -1 is the broker's default")
	c.Flags().Int16VarP(&replicas, "replicas", "r", -1, "how many replicas; -1 is the broker's default")
	c.Flags().StringArrayVarP(&configs, "config", "c", nil, "a topic setting, `name=value`; may be repeated")
	c.Flags().BoolVar(&lenient, "if-not-exists", false, "a topic that exists already is no error")
	return c
}

// eachTopic reports the topics with which something went wrong, one a line, and fails if there is one.
func eachTopic(c *cobra.Command, names []string, fate func(name string) error) error {
	failed := false
	for _, name := range names {
		if err := fate(name); err != nil {
			failed = true
			fmt.Fprintf(c.ErrOrStderr(), "troupe: %s: %v\n", name, err)
		}
	}
	if failed {
		return errReported
	}
	return nil
}

// told is an error with the broker's own sentence, if it sent one.
func told(err error, message string) error {
	if err == nil || message == "" {
		return err
	}
	return fmt.Errorf("%s (%w)", message, err)
}

// topicRow is a topic in a list.
type topicRow struct {
	Name       string `json:"name"`
	ID         string `json:"id"`
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
	Internal   bool   `json:"internal"`
}

func newTopicList() *cobra.Command {
	var b broker
	var p printer
	var internal bool
	c := &cobra.Command{
		Use: "list", Short: "List topics", Args: cobra.NoArgs,
		Example: "  troupe topic list --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return b.admin(c.Context(), func(a *kadm.Client) error {
				topics, err := a.ListTopicsWithInternal(c.Context())
				if err != nil {
					return err
				}
				rows := []topicRow{}
				for _, t := range topics.Sorted() {
					if internal || !t.IsInternal {
						rows = append(rows, rowOf(t))
					}
				}
				return p.print(c.OutOrStdout(), rows, "NAME PARTITIONS REPLICAS", func(row func(...any)) {
					for _, r := range rows {
						row(r.Name, r.Partitions, r.Replicas)
					}
				})
			})
		},
	}
	b.flag(c)
	p.flag(c)
	c.Flags().BoolVar(&internal, "internal", false, "list internal topics too")
	return c
}

func rowOf(t kadm.TopicDetail) topicRow {
	return topicRow{Name: t.Topic, ID: message.TopicID(t.ID).String(), Partitions: len(t.Partitions), Replicas: t.Partitions.NumReplicas(), Internal: t.IsInternal}
}

// topicSheet is everything about a topic.
type topicSheet struct {
	topicRow
	Configs map[string]string `json:"configs"` // that are set for it
	Parts   []partitionRow    `json:"partition_details"`
}

type partitionRow struct {
	Partition   int32   `json:"partition"`
	Leader      int32   `json:"leader"`
	LeaderEpoch int32   `json:"leader_epoch"`
	Replicas    []int32 `json:"replicas"`
	ISR         []int32 `json:"isr"`
	Start       int64   `json:"start"`
	End         int64   `json:"end"`
	Problem     string  `json:"problem,omitempty"`
}

func newTopicDescribe() *cobra.Command {
	var b broker
	var p printer
	c := &cobra.Command{
		Use: "describe NAME...", Short: "Show topics with their partitions, offsets and settings", Args: cobra.MinimumNArgs(1),
		Example: "  troupe topic describe orders",
		RunE: func(c *cobra.Command, names []string) error {
			return b.admin(c.Context(), func(a *kadm.Client) error {
				sheets, err := describeTopics(c.Context(), a, names)
				if err != nil {
					return err
				}
				if p.json {
					return p.print(c.OutOrStdout(), sheets, "", nil)
				}
				for _, s := range sheets {
					if err := s.print(c); err != nil {
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

func (s topicSheet) print(c *cobra.Command) error {
	out := c.OutOrStdout()
	fmt.Fprintf(out, "%s  id %s  partitions %d  replicas %d\n", s.Name, s.ID, s.Partitions, s.Replicas)
	for _, name := range slices.Sorted(maps.Keys(s.Configs)) {
		fmt.Fprintf(out, "  %s=%s\n", name, s.Configs[name])
	}
	return table(out, "PARTITION LEADER EPOCH REPLICAS ISR START END", func(row func(...any)) {
		for _, p := range s.Parts {
			row(p.Partition, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, p.Start, p.End, p.Problem)
		}
	})
}

func describeTopics(ctx context.Context, a *kadm.Client, names []string) ([]topicSheet, error) {
	topics, err := a.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if t := topics[name]; t.Err != nil {
			return nil, noTopic(name, t.Err)
		}
	}
	starts, err := a.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	ends, err := a.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, err
	}
	configs, err := a.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return nil, err
	}
	sheets := make([]topicSheet, 0, len(names))
	for _, name := range names {
		r, _ := configs.On(name, nil)
		sheets = append(sheets, sheetOf(topics[name], starts[name], ends[name], r))
	}
	return sheets, nil
}

func sheetOf(t kadm.TopicDetail, starts, ends map[int32]kadm.ListedOffset, configs kadm.ResourceConfig) topicSheet {
	s := topicSheet{topicRow: rowOf(t), Configs: map[string]string{}}
	for _, c := range configs.Configs {
		if c.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
			s.Configs[c.Key] = c.MaybeValue()
		}
	}
	for _, d := range t.Partitions.Sorted() {
		row := partitionRow{Partition: d.Partition, Leader: d.Leader, LeaderEpoch: d.LeaderEpoch, Replicas: d.Replicas, ISR: d.ISR,
			Start: starts[d.Partition].Offset, End: ends[d.Partition].Offset}
		if d.Err != nil {
			row.Problem = d.Err.Error()
		}
		s.Parts = append(s.Parts, row)
	}
	return s
}

// noTopic says what to do about a topic that is not there.
func noTopic(name string, err error) error {
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return fmt.Errorf("there is no topic %s: create it with 'troupe topic create %s'", name, name)
	}
	return fmt.Errorf("%s: %w", name, err)
}

func newTopicAlter() *cobra.Command {
	var b broker
	var partitions int
	var set, unset []string
	c := &cobra.Command{
		Use: "alter NAME", Short: "Give a topic more partitions, or other settings", Args: cobra.ExactArgs(1),
		Example: "  troupe topic alter orders --partitions 24 --config retention.ms=-1 --unset segment.bytes",
		RunE: func(c *cobra.Command, args []string) error {
			changes, err := changesOf(set, unset)
			if err != nil {
				return err
			}
			if len(changes) == 0 && partitions == 0 {
				return usagef("say what to alter: --partitions, --config or --unset")
			}
			return b.admin(c.Context(), func(a *kadm.Client) error { return alterTopic(c.Context(), a, args[0], partitions, changes) })
		},
	}
	b.flag(c)
	c.Flags().IntVarP(&partitions, "partitions", "p", 0, "how many partitions it is to have in all")
	c.Flags().StringArrayVarP(&set, "config", "c", nil, "a setting to change, `name=value`; may be repeated")
	c.Flags().StringArrayVar(&unset, "unset", nil, "the `name` of a setting to take back; may be repeated")
	return c
}

func alterTopic(ctx context.Context, a *kadm.Client, name string, partitions int, changes []kadm.AlterConfig) error {
	if len(changes) > 0 {
		if err := firstProblem(a.AlterTopicConfigs(ctx, changes, name)); err != nil {
			return err
		}
	}
	if partitions == 0 {
		return nil
	}
	grown, err := a.UpdatePartitions(ctx, partitions, name)
	if err != nil {
		return err
	}
	r, err := grown.On(name, nil)
	if err != nil {
		return err
	}
	return told(r.Err, r.ErrMessage)
}

func newTopicDelete() *cobra.Command {
	var b broker
	c := &cobra.Command{
		Use: "delete NAME...", Short: "Delete topics and all their records", Args: cobra.MinimumNArgs(1),
		Example: "  troupe topic delete orders",
		RunE: func(c *cobra.Command, names []string) error {
			return b.admin(c.Context(), func(a *kadm.Client) error {
				gone, err := a.DeleteTopics(c.Context(), names...)
				if err != nil {
					return err
				}
				return eachTopic(c, names, func(name string) error { return told(gone[name].Err, gone[name].ErrMessage) })
			})
		},
	}
	b.flag(c)
	return c
}
