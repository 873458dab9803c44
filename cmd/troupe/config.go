package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func newConfig() *cobra.Command {
	return group("config", "Show and change the settings of topics and brokers", `  troupe config describe topic orders
  troupe config set broker default log.retention.ms=3600000`,
		newConfigDescribe(), newConfigSet(), newConfigUnset(), newConfigReference())
}

// subject is what has the settings: a topic, a broker, or all brokers.
type subject struct {
	topic  string
	broker int32
	all    bool // every broker's default
}

// subjectOf reads "topic NAME", "broker ID" or "broker default".
func subjectOf(kind, name string) (subject, error) {
	switch {
	case kind == "topic":
		return subject{topic: name}, nil
	case kind == "broker" && name == "default":
		return subject{all: true}, nil
	case kind == "broker":
		id, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			return subject{}, usagef("broker %s: write a broker's number, or default for all", name)
		}
		return subject{broker: int32(id)}, nil
	}
	return subject{}, usagef("%s: settings belong to a topic or a broker", kind)
}

func (s subject) describe(ctx context.Context, a *kadm.Client) (kadm.ResourceConfigs, error) {
	if s.topic != "" {
		return a.DescribeTopicConfigs(ctx, s.topic)
	}
	if s.all {
		return a.DescribeBrokerConfigs(ctx)
	}
	return a.DescribeBrokerConfigs(ctx, s.broker)
}

func (s subject) alter(ctx context.Context, a *kadm.Client, changes []kadm.AlterConfig) error {
	if s.topic != "" {
		return firstProblem(a.AlterTopicConfigs(ctx, changes, s.topic))
	}
	if s.all {
		return firstProblem(a.AlterBrokerConfigs(ctx, changes))
	}
	return firstProblem(a.AlterBrokerConfigs(ctx, changes, s.broker))
}

// firstProblem is what went wrong with the first resource that something went wrong with.
func firstProblem(answers kadm.AlterConfigsResponses, err error) error {
	if err != nil {
		return err
	}
	for _, r := range answers {
		if r.Err != nil {
			return told(r.Err, r.ErrMessage)
		}
	}
	return nil
}

// configRow is one setting as it stands.
type configRow struct {
	Name      string  `json:"name"`
	Value     *string `json:"value"`
	Source    string  `json:"source"`
	Sensitive bool    `json:"sensitive,omitempty"`
}

func newConfigDescribe() *cobra.Command {
	var b broker
	var p printer
	var all bool
	c := &cobra.Command{
		Use: "describe topic|broker NAME", Short: "Show the settings of a topic or broker", Args: cobra.ExactArgs(2),
		Example: "  troupe config describe topic orders --all\n  troupe config describe broker 1\n  troupe config describe broker default",
		RunE: func(c *cobra.Command, args []string) error {
			s, err := subjectOf(args[0], args[1])
			if err != nil {
				return err
			}
			return b.admin(c.Context(), func(a *kadm.Client) error {
				configs, err := s.describe(c.Context(), a)
				if err != nil {
					return err
				}
				rows, err := configRows(configs, all)
				if err != nil {
					return err
				}
				return p.print(c.OutOrStdout(), rows, "NAME VALUE SOURCE", func(row func(...any)) {
					for _, r := range rows {
						row(r.Name, r.shown(), r.Source)
					}
				})
			})
		},
	}
	b.flag(c)
	p.flag(c)
	c.Flags().BoolVar(&all, "all", false, "show what has its default value too")
	return c
}

func (r configRow) shown() string {
	switch {
	case r.Sensitive:
		return "(hidden)"
	case r.Value == nil:
		return "(null)"
	}
	return *r.Value
}

func configRows(configs kadm.ResourceConfigs, all bool) ([]configRow, error) {
	rows := []configRow{}
	for _, r := range configs {
		if r.Err != nil {
			return nil, told(r.Err, r.ErrMessage)
		}
		for _, c := range r.Configs {
			if source := c.Source.String(); all || source != "DEFAULT_CONFIG" {
				rows = append(rows, configRow{Name: c.Key, Value: c.Value, Source: strings.ToLower(source), Sensitive: c.Sensitive})
			}
		}
	}
	slices.SortFunc(rows, func(a, b configRow) int { return strings.Compare(a.Name, b.Name) })
	return rows, nil
}

func newConfigSet() *cobra.Command {
	var b broker
	c := &cobra.Command{
		Use: "set topic|broker NAME SETTING=VALUE...", Short: "Change settings", Args: cobra.MinimumNArgs(3),
		Example: "  troupe config set topic orders retention.ms=86400000 durability=replicated\n  troupe config set broker default message.max.bytes=2000000",
		RunE: func(c *cobra.Command, args []string) error {
			changes, err := changesOf(args[2:], nil)
			if err != nil {
				return err
			}
			return alterSubject(c, &b, args, changes)
		},
	}
	b.flag(c)
	return c
}

func newConfigUnset() *cobra.Command {
	var b broker
	c := &cobra.Command{
		Use: "unset topic|broker NAME SETTING...", Short: "Take settings back, so that their defaults hold again", Args: cobra.MinimumNArgs(3),
		Example: "  troupe config unset topic orders retention.ms",
		RunE: func(c *cobra.Command, args []string) error {
			changes, _ := changesOf(nil, args[2:])
			return alterSubject(c, &b, args, changes)
		},
	}
	b.flag(c)
	return c
}

func alterSubject(c *cobra.Command, b *broker, args []string, changes []kadm.AlterConfig) error {
	s, err := subjectOf(args[0], args[1])
	if err != nil {
		return err
	}
	return b.admin(c.Context(), func(a *kadm.Client) error {
		if err := s.alter(c.Context(), a, changes); err != nil {
			return fmt.Errorf("%s %s: %w", args[0], args[1], err)
		}
		return nil
	})
}

// changesOf are the incremental changes that set and unset ask for.
func changesOf(set, unset []string) ([]kadm.AlterConfig, error) {
	var changes []kadm.AlterConfig
	for _, s := range set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, usagef("%s: write name=value", s)
		}
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	for _, name := range unset {
		changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: name})
	}
	return changes, nil
}
