package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what the binary knows of itself.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func newVersion() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "version", Short: "Say which Troupe this is", Args: cobra.NoArgs,
		Example: "  troupe version --json",
		RunE: func(c *cobra.Command, _ []string) error {
			b := thisBuild()
			return p.print(c.OutOrStdout(), b, "", func(row func(...any)) {
				row(fmt.Sprintf("troupe %s %s %s %s", b.Version, b.Commit, b.Go, b.System))
			})
		},
	}
	p.flag(c)
	return c
}

func thisBuild() build {
	b := build{Version: "devel", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Commit = s.Value[:min(12, len(s.Value))]
		}
	}
	return b
}
