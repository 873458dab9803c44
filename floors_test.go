package troupe

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/troupe-broker/troupe/"

// floor is a row of the table in ARCHITECTURE.md: packages that may import no more of ours than is listed, and some
// names of the standard library not at all. The first floor whose pattern matches a package is its floor.
type floor struct {
	name     string
	packages []string // path.Match patterns of folders
	ours     []string // regular expressions of what may be imported of ours
	never    []string // imports that are refused
	actor    bool     // no go statements, channels or select
}

var blind = []string{"os", "net", "math/rand", "crypto/rand", "os/exec", "syscall"}

var floors = []floor{
	{name: "words", packages: []string{"persistence/record", "actors/message", "actors/message/*"},
		ours: []string{"persistence/record", "actors/message", "actors/message/.*"}, never: append(blind, "net/http")},
	{name: "means", packages: []string{"persistence/*", "actors/stage"},
		ours: []string{"persistence/.*", "actors/message", "actors/message/.*", "actors/stage"}},
	{name: "brains", packages: []string{"actors/*/*", "transport/*/*"},
		ours:  []string{"persistence/record", "actors/message", "actors/message/.*", "actors/broker/image", "actors/controller/placement", "actors/coordinator/brain"},
		never: append(blind, "sync", "sync/atomic"), actor: true},
	{name: "actors", packages: []string{"actors/*"},
		ours:  []string{"persistence/.*", "actors/message", "actors/message/.*", "actors/stage", "own brains", "actors/broker/image"},
		never: append(blind, "sync", "sync/atomic"), actor: true},
	{name: "doors", packages: []string{"transport/*"},
		ours: []string{"persistence/(record|vfs|snapshot|loan)", "actors/message", "actors/message/.*", "actors/stage", "actors/broker/image", "own brains"}},
	{name: "node", packages: []string{"node"}, ours: []string{"actors/.*", "persistence/.*", "transport/.*", "node"}},
	{name: "beside", packages: []string{"sdk", "sdk/*"}, ours: []string{"persistence/record", "sdk/.*", "node"}},
	{name: "outside", packages: []string{".", "sim", "sim/*", "cmd/*", "cmd/*/*", "examples/*", "docs", "docs/*", "tests", "tests/*", "tests/*/*"}, ours: []string{".*"}},
}

// only says who alone may import what.
var only = map[string][]string{
	"os": {"persistence/vfs", "node", "cmd/.*", "sim.*", "docs.*", "examples/.*", "tests.*", "sdk.*"},
	"github.com/asynkron/protoactor-go/actor": {"actors/stage"},
	"go.etcd.io/raft/v3":                      {"actors/controller", "actors/controller/metadata"},
}

// wallClock are the names of package time that an actor must get from its stage.
var wallClock = regexp.MustCompile(`^(Now|After|AfterFunc|Tick|NewTicker|NewTimer|Sleep|Since|Until)$`)

func TestFloors(t *testing.T) {
	seen := 0
	eachGoFile(t, func(folder string, file *ast.File, files *token.FileSet) {
		seen++
		f := floorOf(folder)
		if f == nil {
			t.Errorf("%s: stands on no floor: give it one in floors_test.go and ARCHITECTURE.md", folder)
			return
		}
		for _, i := range file.Imports {
			target, _ := strconv.Unquote(i.Path.Value)
			if why := refused(folder, f, target); why != "" {
				t.Errorf("%s: %s imports %s: %s", files.Position(i.Pos()), folder, target, why)
			}
		}
		if f.actor {
			refuseGoroutines(t, file, files)
		}
	})
	if seen == 0 {
		t.Fatal("no Go files found")
	}
}

func floorOf(folder string) *floor {
	for i, f := range floors {
		for _, pattern := range f.packages {
			if ok, _ := path.Match(pattern, folder); ok {
				return &floors[i]
			}
		}
	}
	return nil
}

// refused says why a folder may not import a package; empty if it may.
func refused(folder string, f *floor, target string) string {
	if who, ok := only[target]; ok && !matches(who, folder) {
		return "only " + strings.Join(who, ", ") + " may"
	}
	if slices.Contains(f.never, target) {
		return "the " + f.name + " floor may not"
	}
	inside, ok := strings.CutPrefix(target, module)
	if !ok || inside == folder || matches(f.ours, inside) {
		return ""
	}
	if slices.Contains(f.ours, "own brains") && strings.HasPrefix(inside, folder+"/") {
		return ""
	}
	return "the " + f.name + " floor may import of ours: " + strings.Join(f.ours, ", ")
}

func matches(patterns []string, s string) bool {
	for _, p := range patterns {
		if regexp.MustCompile("^(" + p + ")$").MatchString(s) {
			return true
		}
	}
	return false
}

// refuseGoroutines finds what would make an actor depend on anything but its mailbox and its stage.
func refuseGoroutines(t *testing.T, file *ast.File, files *token.FileSet) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			t.Errorf("%s: a go statement: use the stage's Offload", files.Position(n.Pos()))
		case *ast.SelectStmt:
			t.Errorf("%s: a select statement: actors receive messages only", files.Position(n.Pos()))
		case *ast.ChanType:
			t.Errorf("%s: a channel: actors send messages only", files.Position(n.Pos()))
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && wallClock.MatchString(n.Sel.Name) {
				t.Errorf("%s: time.%s: ask the stage", files.Position(n.Pos()), n.Sel.Name)
			}
		}
		return true
	})
}

// eachGoFile calls with every Go file that is not a test, and its folder relative to the root.
func eachGoFile(t *testing.T, each func(folder string, file *ast.File, files *token.FileSet)) {
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(files, p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		each(filepath.ToSlash(filepath.Dir(p)), parsed, files)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFloorsRefuse shows that the table can say no.
func TestFloorsRefuse(t *testing.T) {
	for _, c := range []struct{ folder, target string }{
		{"actors/partition", module + "actors/controller"},
		{"actors/partition", "os"},
		{"actors/partition/replica", module + "persistence/vfs"},
		{"actors/disk", "github.com/asynkron/protoactor-go/actor"},
		{"transport/kafka", module + "persistence/log"},
		{"transport/kafka", module + "actors/partition"},
		{"persistence/log", module + "actors/partition"},
		{"node", module + "sim"},
		{"actors/message", module + "persistence/vfs"},
	} {
		if refused(c.folder, floorOf(c.folder), c.target) == "" {
			t.Errorf("%s may import %s, and must not", c.folder, c.target)
		}
	}
}
