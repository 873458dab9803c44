package node

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Config is a broker's static configuration, checked. What can change while the broker runs is over it in
// setting.Layers.
type Config struct {
	// Values are all that was given, by their names in the setting table.
	Values    setting.Values
	ID        message.NodeID // -1: the cluster that the node joins gives it one
	Rack      string         // empty: none
	Data      string         // the data directory
	Listeners []Listener
	HTTP      string // address of metrics and health; empty: none
	Profile   bool   // serve /debug/pprof there
	Cluster   Cluster
	// Notes are what the operator should know of what was given and is not heeded, a sentence each.
	Notes []string
}

// Layers are the configuration without anything that was set dynamically.
func (c *Config) Layers() setting.Layers { return setting.Layers{Static: c.Values} }

// NewConfig checks what was given and makes the configuration of it. An error names the setting and says what to do.
func NewConfig(given map[string]string) (*Config, error) {
	c := &Config{}
	if err := c.admit(given); err != nil {
		return nil, err
	}
	l := c.Layers()
	c.Rack = l.Text("broker.rack")
	c.HTTP, c.Profile = l.Text("http.listener"), l.Bool("http.profile")
	if err := c.refuseMissing(l); err != nil {
		return nil, err
	}
	if err := c.takeDirectory(l); err != nil {
		return nil, err
	}
	if err := c.takeListeners(l); err != nil {
		return nil, err
	}
	if err := c.takeCluster(l); err != nil {
		return nil, err
	}
	return c, c.takeNumber()
}

// admit keeps what the table knows and passes its check, notes what is Kafka's alone, and refuses the rest.
func (c *Config) admit(given map[string]string) error {
	known := map[string]string{}
	var foreign []string
	for _, name := range setting.NewValues(given).Names() {
		s, ok := setting.Lookup(setting.OfBroker, name)
		switch {
		case ok && s.Null && given[name] == "":
			// name= in a file is as good as leaving it out
		case ok:
			if err := s.Check(given[name]); err != nil {
				return err
			}
			known[name] = given[name]
		case setting.Foreign(name):
			foreign = append(foreign, name)
		default:
			return unknown(name)
		}
	}
	c.Values = setting.NewValues(known)
	if len(foreign) > 0 {
		c.Notes = append(c.Notes, "these settings mean nothing to Troupe and are not heeded: "+strings.Join(foreign, ", "))
	}
	return nil
}

func unknown(name string) error {
	if near := setting.Nearest(setting.OfBroker, name); near != "" {
		return fmt.Errorf("there is no setting %s: is %s meant?", name, near)
	}
	return fmt.Errorf("there is no setting %s: see docs/configuration.md for those there are", name)
}

// refuseMissing refuses what would seem to protect and does not: it is not there yet.
func (c *Config) refuseMissing(l setting.Layers) error {
	if v := l.Text("authorizer.class.name"); v != "" {
		return fmt.Errorf("authorizer.class.name=%s: there is no access control yet: leave it empty", v)
	}
	return nil
}

func (c *Config) takeDirectory(l setting.Layers) error {
	dirs := l.Strings("log.dirs")
	if len(dirs) != 1 {
		return fmt.Errorf("log.dirs=%s: Troupe keeps its data in one directory: name one", l.Text("log.dirs"))
	}
	absolute, err := filepath.Abs(dirs[0])
	if err != nil {
		return fmt.Errorf("log.dirs=%s: %w", dirs[0], err)
	}
	c.Data = absolute
	return nil
}
