package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// command runs one command line in this process.
func command(args ...string) (code int, out, problems string) {
	var o, e bytes.Buffer
	code = run(args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestReferencePageIsUpToDate(t *testing.T) {
	var page bytes.Buffer
	writeReference(&page)
	kept, err := os.ReadFile("../../docs/configuration.md")
	if err != nil || !bytes.Equal(kept, page.Bytes()) {
		t.Errorf("docs/configuration.md is not what the table says (%v): run go run ./cmd/troupe config reference > docs/configuration.md", err)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{exitOK, "troupe ", []string{"version"}},
		{exitUsage, "unknown command", []string{"sever"}},
		{exitUsage, "unknown flag", []string{"server", "--dta", "x"}},
		{exitUsage, "requires at least 1 arg", []string{"topic", "create"}},
		{exitUsage, "say what to do", []string{"topic"}},
		{exitUsage, "write name=value", []string{"topic", "create", "x", "--config", "y"}},
		{exitUsage, "write none, gzip, snappy, lz4 or zstd", []string{"produce", "x", "-z", "rar"}},
		{exitUsage, "there is no %q", []string{"consume", "x", "--format", "%q"}},
		{exitUsage, "two different formats", []string{"consume", "x", "--json", "-f", "value"}},
		{exitUsage, "or how long ago", []string{"consume", "x", "--from", "yesterday"}},
		{exitUsage, "say what to do", []string{"group"}},
		{exitUsage, "requires at least 1 arg", []string{"group", "describe"}},
		{exitUsage, "say where to", []string{"group", "reset", "g", "--topic", "t"}},
		{exitUsage, "say which topic", []string{"group", "reset", "g", "--to", "start"}},
		{exitUsage, "+N, -N, a time", []string{"group", "reset", "g", "--topic", "t", "--to", "-later"}},
		{exitUsage, "the group assigns partitions", []string{"consume", "x", "--group", "g", "--partition", "1"}},
		{exitUsage, "end with --until-end or --count", []string{"consume", "x", "--group", "g", "--to", "5"}},
		{exitUsage, "troupe group reset", []string{"consume", "x", "--group", "g", "--from", "-5"}},
		{exitFailed, "no broker answers at 127.0.0.1:1: start one with 'troupe server'", []string{"topic", "list", "--bootstrap", "127.0.0.1:1"}},
		{exitFailed, "is no data directory of Troupe", []string{"log", "verify", "--data", "/nowhere/at/all"}},
		{exitFailed, "there is no setting num.partition: is num.partitions meant?", []string{"server", "--set", "num.partition=1"}},
	} {
		code, out, problems := command(c.args...)
		if code != c.code || !strings.Contains(out+problems, c.says) {
			t.Errorf("troupe %s: exit code %d, want %d with %q in\n%s%s", strings.Join(c.args, " "), code, c.code, c.says, out, problems)
		}
	}
}

// Every command that does something shows how it is used.
func TestEveryCommandHasAnExample(t *testing.T) {
	each(newRoot(), func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s has no example, or says not what it does", c.CommandPath())
		}
	})
}

func each(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, sub := range c.Commands() {
		each(sub, do)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`%p/%o %t %k: %v\n`)
	f.Add(`%`)
	f.Fuzz(func(_ *testing.T, template string) { _, _ = compile(template) })
}
