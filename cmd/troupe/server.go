package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/troupe-broker/troupe/node"
)

// server is what the flags of the command say.
type server struct {
	sources node.Sources
	data    string
	listen  string
	http    string
	id      int32
	cluster string
	join    []string
	expect  int32
}

func newServer() *cobra.Command {
	var s server
	c := &cobra.Command{
		Use: "server", Short: "Run a broker", Args: cobra.NoArgs,
		Long: `Run a broker. When it serves it writes one line to the standard output: ready kafka=ADDRESS http=ADDRESS pid=NUMBER.

SIGTERM or an interrupt stops it cleanly; a second one ends it at once. Nothing that was acknowledged is lost either way.
A broker that cannot make anything durable any more ends by itself, with exit code 1: start it again.`,
		Example: `  troupe server
  troupe server --data /var/lib/troupe --listeners PLAINTEXT://:9092 --set num.partitions=3
  troupe server --config server.properties
  TROUPE_LOG_RETENTION_MS=3600000 troupe server
  troupe server --data two --listeners PLAINTEXT://:9093 --http :9645 --cluster 127.0.0.1:6223 --join 127.0.0.1:6222`,
		RunE: func(c *cobra.Command, _ []string) error { return s.run(c) },
	}
	f := c.Flags()
	f.StringVar(&s.sources.File, "config", "", "a `file` of settings: YAML, or Kafka's server.properties")
	f.StringArrayVar(&s.sources.Set, "set", nil, "a setting, `name=value`; may be repeated (docs/configuration.md)")
	f.StringVar(&s.data, "data", "", "the data `directory` (log.dirs; troupe-data)")
	f.StringVar(&s.listen, "listeners", "", "where to listen for Kafka clients, `NAME://HOST:PORT` (listeners; PLAINTEXT://:9092)")
	f.StringVar(&s.http, "http", "", "where to listen for metrics and health, `HOST:PORT` (http.listener; :9644)")
	f.Int32Var(&s.id, "node-id", 0, "the broker's `number` (node.id; 1, or what the cluster gives it if it joins one)")
	f.StringVar(&s.cluster, "cluster", "", "where to listen for other nodes, `HOST:PORT` (cluster.listen; none: the node is alone)")
	f.StringSliceVar(&s.join, "join", nil, "where another node of the cluster listens, `HOST:PORT`; may be repeated (cluster.join)")
	f.Int32Var(&s.expect, "bootstrap-expect", 0, "how many new nodes found the cluster together, a `number` (bootstrap.expect)")
	return c
}

func (s *server) run(c *cobra.Command) error {
	config, err := s.config(c)
	if err != nil {
		return err
	}
	if !config.Profile {
		runtime.MemProfileRate = 0 // nobody can ask for what it gathers, which takes 2 MiB
	}
	n, err := node.Start(config, c.ErrOrStderr())
	if err != nil {
		return err
	}
	stopped := stopOnSignal(c.Context(), c.ErrOrStderr(), nil)
	if _, err := fmt.Fprintln(c.OutOrStdout(), n.Ready()); err != nil {
		return err
	}
	select {
	case <-stopped.Done():
	case <-n.Failed(): // which makes Close an error
	}
	return n.Close()
}

func (s *server) config(c *cobra.Command) (*node.Config, error) {
	s.sources.Env = os.Environ()
	s.sources.Own = map[string]string{}
	for flag, setting := range map[string]string{"data": "log.dirs", "listeners": "listeners", "http": "http.listener", "node-id": "node.id",
		"cluster": "cluster.listen", "bootstrap-expect": "bootstrap.expect"} {
		if f := c.Flags().Lookup(flag); f.Changed {
			s.sources.Own[setting] = f.Value.String()
		}
	}
	if s.join != nil {
		s.sources.Own["cluster.join"] = strings.Join(s.join, ",")
	}
	return node.Load(s.sources)
}

// stopOnSignal ends the context at the first signal, and the process, behind a last act if there is one, at the second.
func stopOnSignal(ctx context.Context, tell io.Writer, last func()) context.Context {
	stopped, stop := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		stop()
		select {
		case <-signals:
			fmt.Fprintln(tell, "troupe: a second signal: ending at once")
			if last != nil {
				last()
			}
			os.Exit(exitFailed)
		case <-ctx.Done():
		}
	}()
	return stopped
}
