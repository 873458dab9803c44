package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/spf13/cobra"
)

// printer writes what a command found: a table for people, or JSON for programs.
type printer struct{ json bool }

func (p *printer) flag(c *cobra.Command) {
	c.Flags().BoolVar(&p.json, "json", false, "write JSON")
}

// print writes the value as JSON, or lets the table be filled.
func (p *printer) print(out io.Writer, value any, head string, fill func(row func(cells ...any))) error {
	if p.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(value)
	}
	return table(out, head, fill)
}

// say writes a line for people, who read along.
func (p *printer) say(out io.Writer, format string, values ...any) {
	if !p.json {
		fmt.Fprintf(out, format, values...)
	}
}

// tell writes a value for programs, at the end.
func (p *printer) tell(out io.Writer, value any) error {
	if !p.json {
		return nil
	}
	return p.print(out, value, "", nil)
}

// table writes rows in columns under a head whose columns are separated by blanks.
func table(out io.Writer, head string, fill func(row func(cells ...any))) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if head != "" {
		fmt.Fprintln(w, strings.Join(strings.Fields(head), "\t"))
	}
	fill(func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, c)
		}
		fmt.Fprintln(w)
	})
	return w.Flush()
}

// isTerminal says that somebody looks at the output: colours and pictures that move are for them alone.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}

// pairs reads name=value.
func pairs(flag string, given []string) (map[string]*string, error) {
	all := make(map[string]*string, len(given))
	for _, g := range given {
		name, value, ok := strings.Cut(g, "=")
		if !ok || name == "" {
			return nil, usagef("%s %s: write name=value", flag, g)
		}
		all[name] = &value
	}
	return all, nil
}
