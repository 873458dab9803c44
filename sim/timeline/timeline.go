// Package timeline draws a trace as one HTML file that needs nothing else: a lane for the node, the faults, the disk, every
// partition and every client, and the last lines before the end.
package timeline

import (
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Timeline gathers a trace line by line.
type Timeline struct {
	Title string
	What  string // the sentence of what broke; empty if nothing did

	lanes map[string]*lane
	order []string
	last  []string
	end   float64
}

// lane is one row.
type lane struct {
	Name   string
	Events []event
}

// event is one mark in a row.
type event struct {
	At   float64 // seconds
	X    float64 // per mille of the whole
	Kind string
	Text string
}

const (
	lastLines  = 200
	eventsMax  = 3000 // of a lane: a browser has to show them
	nodeLane   = "node"
	faultLane  = "faults"
	diskLane   = "disk"
	firstLanes = 3
)

// New is an empty timeline.
func New(title string) *Timeline {
	t := &Timeline{Title: title, lanes: map[string]*lane{}}
	for _, name := range []string{nodeLane, faultLane, diskLane} {
		t.of(name)
	}
	return t
}

func (t *Timeline) of(name string) *lane {
	l := t.lanes[name]
	if l == nil {
		l = &lane{Name: name}
		t.lanes[name] = l
		t.order = append(t.order, name)
	}
	return l
}

// Line takes one line of a trace: seconds, a space, and what happened.
func (t *Timeline) Line(line string) {
	if t.last = append(t.last, line); len(t.last) > lastLines {
		t.last = t.last[1:]
	}
	at, text, ok := strings.Cut(strings.TrimLeft(line, " "), " ")
	seconds, err := strconv.ParseFloat(at, 64)
	if !ok || err != nil {
		return
	}
	t.end = max(t.end, seconds)
	name, kind := place(text)
	if l := t.of(name); name != "" && len(l.Events) < eventsMax {
		l.Events = append(l.Events, event{At: seconds, Kind: kind, Text: text})
	}
}

// place says in which lane a line belongs, and how it is drawn.
func place(text string) (lane, kind string) {
	first, rest, _ := strings.Cut(text, " ")
	switch {
	case first == "fault:" || strings.HasPrefix(text, "the faults"):
		return faultLane, "bad"
	case first == "node":
		return nodeLane, "good"
	case first == "log" && (strings.HasPrefix(rest, "ERROR") || strings.HasPrefix(rest, "WARN")):
		return nodeLane, "bad"
	case first == "log":
		return nodeLane, "plain"
	case first == "disk" && strings.HasSuffix(text, "<nil>"):
		return diskLane, "plain"
	case first == "disk":
		return diskLane, "bad"
	case first == "state":
		partition, _, _ := strings.Cut(rest, " ")
		return partition, "good"
	}
	return strings.TrimSuffix(first, ":"), "plain"
}

// Write writes the page.
func (t *Timeline) Write(to io.Writer) error {
	lanes := make([]*lane, 0, len(t.order))
	slices.Sort(t.order[firstLanes:])
	for _, name := range t.order {
		l := t.lanes[name]
		for i := range l.Events {
			l.Events[i].X = 1000 * l.Events[i].At / max(t.end, 1e-6)
		}
		lanes = append(lanes, l)
	}
	return page.Execute(to, map[string]any{"Title": t.Title, "What": t.What, "Lanes": lanes, "Last": t.last, "End": t.end})
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Title}}</title>
<style>
body{font:14px system-ui,sans-serif;margin:1.5em;background:#fff;color:#222}
.what{padding:.6em 1em;background:#fde8e8;border-left:4px solid #c22}
.lane{display:flex;align-items:center;border-bottom:1px solid #eee}
.name{width:11em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
svg{flex:1;height:22px}
.plain{fill:#9ab}.good{fill:#2a7}.bad{fill:#c22}
pre{background:#f6f6f6;padding:1em;overflow:auto;font-size:12px}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}pre{background:#222}.lane{border-color:#333}.what{background:#411}}
</style>
<h1>{{.Title}}</h1>
{{if .What}}<p class="what">{{.What}}</p>{{else}}<p>Every invariant held.</p>{{end}}
<p>{{printf "%.3f" .End}} simulated seconds from left to right; point at a mark to read it.</p>
{{range .Lanes}}<div class="lane"><div class="name" title="{{.Name}}">{{.Name}}</div><svg viewBox="0 0 1000 22" preserveAspectRatio="none">
{{range .Events}}<rect class="{{.Kind}}" x="{{printf "%.2f" .X}}" y="3" width="1.5" height="16"><title>{{printf "%.6f" .At}} {{.Text}}</title></rect>
{{end}}</svg></div>
{{end}}
<h2>The last steps</h2>
<pre>{{range .Last}}{{.}}
{{end}}</pre>
</html>
`))
