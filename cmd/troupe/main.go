// Command troupe is the broker and its tools in one binary. It holds nothing but flags and calls: the broker is package
// node, and the tools are ordinary Kafka clients, which work against any Kafka broker.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run executes one command line and says how the process is to end.
func run(args []string, in io.Reader, out, problems io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(problems)
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	command, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return exitOK
	}
	var usage usageError
	if !began || errors.As(err, &usage) {
		fmt.Fprintf(problems, "troupe: %v\n", err)
		fmt.Fprintf(problems, "See '%s --help'.\n", command.CommandPath())
		return exitUsage
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintf(problems, "troupe: %v\n", err)
	}
	return exitFailed
}

// usageError is a command line that cannot be meant so.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errReported ends a command whose failures have been told already.
var errReported = errors.New("failed")

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "troupe",
		Short: "An event-streaming broker that speaks Kafka's protocol, and its tools",
		Example: `  troupe server
  troupe topic create orders --partitions 3
  echo hello | troupe produce orders
  troupe consume orders --from start --until-end`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newServer(), newTopic(), newProduce(), newConsume(), newGroup(), newTxn(), newConfig(), newLog(), newCluster(), newNode(), newPartition(), newMetadata(), newBench(), newSim(), newVersion())
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// group is a command that has only sub-commands.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		return usagef("say what to do: one of its commands is missing")
	}}
	c.AddCommand(commands...)
	return c
}
