package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/magiconair/properties"
	"gopkg.in/yaml.v3"

	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Sources are where a configuration comes from, weakest first.
type Sources struct {
	File string            // YAML (.yaml, .yml) or Kafka's properties (any other ending); empty: none
	Env  []string          // "TROUPE_LOG_RETENTION_MS=1000" and others, as os.Environ has them
	Set  []string          // "name=value", as --set has them
	Own  map[string]string // from flags that have a name of their own
}

// Load reads the sources one over the other and checks the result.
func Load(s Sources) (*Config, error) {
	given := map[string]string{}
	if s.File != "" {
		if err := readFile(s.File, given); err != nil {
			return nil, err
		}
	}
	notes := readEnv(s.Env, given)
	for _, pair := range s.Set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set %s: write --set name=value", pair)
		}
		given[strings.TrimSpace(name)] = value
	}
	for name, value := range s.Own {
		given[name] = value
	}
	c, err := NewConfig(given)
	if err != nil {
		return nil, err
	}
	c.Notes = append(c.Notes, notes...)
	return c, nil
}

func readFile(path string, given map[string]string) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no configuration file %s", path)
	}
	if err != nil {
		return fmt.Errorf("the configuration file: %w", err)
	}
	switch filepath.Ext(path) {
	case ".yaml", ".yml":
		err = readYAML(content, given)
	default:
		err = readProperties(content, given)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readProperties reads Kafka's server.properties: names and values, nothing expanded.
func readProperties(content []byte, given map[string]string) error {
	loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	p, err := loader.LoadBytes(content)
	if err != nil {
		return err
	}
	for name, value := range p.Map() {
		given[name] = strings.TrimSpace(value)
	}
	return nil
}

// readYAML reads names with dots, or nested maps that spell them, or both. A list is a value with commas.
func readYAML(content []byte, given map[string]string) error {
	var root yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(content)).Decode(&root); err != nil {
		if len(bytes.TrimSpace(content)) == 0 {
			return nil
		}
		return err
	}
	if len(root.Content) == 0 {
		return nil
	}
	return flatten("", root.Content[0], given)
}

func flatten(prefix string, n *yaml.Node, given map[string]string) error {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if prefix != "" {
				name = prefix + "." + name
			}
			if err := flatten(name, n.Content[i+1], given); err != nil {
				return err
			}
		}
		return nil
	case yaml.SequenceNode:
		elements := make([]string, len(n.Content))
		for i, e := range n.Content {
			elements[i] = e.Value
		}
		given[prefix] = strings.Join(elements, ",")
		return nil
	case yaml.ScalarNode:
		if prefix == "" {
			return fmt.Errorf("line %d: names with values are expected, as in \"num.partitions: 3\"", n.Line)
		}
		if n.Tag != "!!null" {
			given[prefix] = n.Value
		}
		return nil
	}
	return fmt.Errorf("line %d: anchors and aliases are not understood", n.Line)
}

// readEnv takes the variables that spell a setting: TROUPE_LOG_RETENTION_MS is log.retention.ms. Others that begin so are
// noted, not refused: they may be meant for something else.
func readEnv(env []string, given map[string]string) (notes []string) {
	names := map[string]string{}
	for _, s := range setting.All(setting.OfBroker) {
		names[Variable(s.Name)] = s.Name
	}
	for _, e := range env {
		variable, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(variable, "TROUPE_") {
			continue
		}
		if name, ok := names[variable]; ok {
			given[name] = value
			continue
		}
		notes = append(notes, fmt.Sprintf("the environment's %s names no setting", variable))
	}
	return notes
}

// Variable is the environment variable that gives a setting: TROUPE_LOG_RETENTION_MS for log.retention.ms.
func Variable(name string) string {
	return "TROUPE_" + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}
