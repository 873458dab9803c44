package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/node"
)

func newConfigReference() *cobra.Command {
	return &cobra.Command{
		Use: "reference", Short: "Write the reference page of every setting (docs/configuration.md)", Args: cobra.NoArgs,
		Example: "  troupe config reference > docs/configuration.md",
		RunE: func(c *cobra.Command, _ []string) error {
			writeReference(c.OutOrStdout())
			return nil
		},
	}
}

const preface = `# Configuration

<!-- Made by "troupe config reference > docs/configuration.md" from the table in actors/message/setting. -->

Names, units and defaults are Kafka's wherever Kafka has the setting. A broker reads, one over the other:

1. the defaults below,
2. a file: ` + "`--config FILE`" + `, YAML (` + "`.yaml`, `.yml`" + `) or Kafka's own ` + "`server.properties`" + `,
3. the environment: ` + "`log.retention.ms` is `%s`" + `,
4. the command line: ` + "`--set log.retention.ms=1000`" + `.

Topics, groups and the brokers' dynamic settings are changed with ` + "`troupe config`" + `, or with Kafka's own tools.
*Idle* settings are accepted, kept and shown, and change nothing in this version.
`

// writeReference writes a section for each scope, a table in each.
func writeReference(out io.Writer) {
	fmt.Fprintf(out, preface, node.Variable("log.retention.ms"))
	for _, section := range []struct {
		scope setting.Scope
		title string
	}{{setting.OfTopic, "Topics"}, {setting.OfBroker, "Brokers"}, {setting.OfGroup, "Groups"}, {setting.OfMetrics, "Client metrics"}} {
		fmt.Fprintf(out, "\n## %s\n\n| name | type | default | values | changes | meaning |\n|---|---|---|---|---|---|\n", section.title)
		for _, s := range setting.All(section.scope) {
			fmt.Fprintf(out, "| `%s` | %s | %s | %s | %s | %s |\n", s.Name, strings.ToLower(s.Type.String()), shownDefault(s), shownRange(s), shownChange(s), meaning(s))
		}
	}
}

func shownDefault(s *setting.Setting) string {
	switch {
	case s.Null:
		return "null"
	case s.Default == "":
		return `""`
	}
	return "`" + s.Default + "`"
}

func shownRange(s *setting.Setting) string {
	switch {
	case len(s.Valid) > 0:
		return strings.Join(s.Valid, ", ")
	case s.MinSet && s.MaxSet:
		return fmt.Sprintf("%d … %d", s.Min, s.Max)
	case s.MinSet:
		return fmt.Sprintf("≥ %d", s.Min)
	}
	return ""
}

func shownChange(s *setting.Setting) string {
	if s.Scope == setting.OfBroker {
		return s.Dynamic.String()
	}
	var names []string
	for _, o := range s.Synonyms {
		names = append(names, "`"+o.Name+"`")
	}
	if names == nil {
		return "at any time"
	}
	return "at any time; default from " + strings.Join(names, ", ")
}

func meaning(s *setting.Setting) string {
	text := strings.ReplaceAll(s.Sentence, "|", "\\|")
	if s.Ours {
		text += " *Troupe's own.*"
	}
	if s.Idle {
		text += " *Idle.*"
	}
	return text
}
