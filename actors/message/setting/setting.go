// Package setting is the one table of everything that can be configured: name, type, default, range, whether it can
// change while the broker runs, a sentence, and the values from which the simulator draws. Flags, environment, files,
// DescribeConfigs and the reference page are all made from it.
//
// It reads no file and no environment (package node does); it parses, checks and resolves values, and it refuses unknown
// names with a sentence that says what is near.
package setting

import (
	"slices"
	"strings"
)

// Scope is what a setting belongs to. The same name may mean something in several scopes.
type Scope uint8

// The scopes.
const (
	OfTopic   Scope = iota // one topic; falls back on the broker's synonym
	OfBroker               // a broker, or all of them
	OfGroup                // one consumer, share or streams group; falls back on the broker's synonym
	OfMetrics              // one client-metrics subscription (KIP-714)
)

var scopeNames = [...]string{"topic", "broker", "group", "client metrics"}

// String is the scope's name for people: "topic".
func (s Scope) String() string { return scopeNames[s] }

// Type is a value's type, numbered as in Kafka's DescribeConfigs (config_type).
type Type int8

// The types.
const (
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3 // 32 bits
	Short    Type = 4 // 16 bits
	Long     Type = 5 // 64 bits
	Double   Type = 6
	List     Type = 7 // separated by commas
	Class    Type = 8 // the name of a Java class; Troupe knows a few of them by name
	Password Type = 9
)

var typeNames = [...]string{"", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}

// String is Kafka's name of the type: "LONG".
func (t Type) String() string { return typeNames[t] }

// Dynamic says how a broker's setting may change while it runs. Settings of other scopes may always.
type Dynamic uint8

// The ways to change.
const (
	ReadOnly    Dynamic = iota // at the next start
	PerBroker                  // for one broker, or for all as their default
	ClusterWide                // for all brokers, or one
)

var dynamicNames = [...]string{"read-only", "per-broker", "cluster-wide"}

// String is Kafka's word: "read-only", "per-broker" or "cluster-wide".
func (d Dynamic) String() string { return dynamicNames[d] }

// Setting is one row of the table. It is never changed.
type Setting struct {
	Name     string
	Scope    Scope
	Type     Type
	Default  string
	Null     bool // the default is null rather than Default
	Min, Max int64
	// MinSet and MaxSet say that Min and Max bound the number; a Double is bounded by them as well.
	MinSet, MaxSet bool
	// Valid, if any, are the only values, or the only elements of a list.
	Valid []string
	// Reads says what is wrong with a list's elements, empty if nothing; nil takes any.
	Reads func(name string, elements []string) string
	// Synonyms are the broker's settings that stand in where this one is not set, strongest first; its own name is not
	// among them.
	Synonyms []Synonym
	Dynamic  Dynamic
	// Ours: Kafka does not know it.
	Ours bool
	// Idle: accepted, kept and shown, and of no effect here.
	Idle     bool
	Sentence string
	// Sim are values from which the simulator may draw, besides the default.
	Sim []string
}

// Synonym is another name for a setting's value, in units that are Times as large (hours for milliseconds); 0 is 1.
type Synonym struct {
	Name  string
	Times int64
}

// Sensitive says that the value is a secret, which is never shown.
func (s *Setting) Sensitive() bool { return s.Type == Password }

// Lookup finds a setting by its exact name.
func Lookup(scope Scope, name string) (*Setting, bool) {
	s, ok := byName[key{scope, name}]
	return s, ok
}

// All are a scope's settings by ascending name. The slice is shared: it is not to be changed.
func All(scope Scope) []*Setting { return byScope[scope] }

// Known finds a setting or refuses in Kafka's words: "Unknown topic config name: foo".
func Known(scope Scope, name string) (*Setting, error) {
	if s, ok := Lookup(scope, name); ok {
		return s, nil
	}
	return nil, sentencef("Unknown %s config name: %s", scope, name)
}

// Nearest is the known name that looks most like an unknown one, empty if none is near.
func Nearest(scope Scope, name string) string {
	best, least := "", 1+len(name)/3
	for _, s := range All(scope) {
		if d := distance(name, s.Name); d < least {
			best, least = s.Name, d
		}
	}
	return best
}

// distance is Levenshtein's: how many letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

type key struct {
	scope Scope
	name  string
}

var (
	byName  = map[key]*Setting{}
	byScope [len(scopeNames)][]*Setting
)

// init files the rows of the tables, which are static data, by scope and name.
func init() {
	enter(OfTopic, topicSettings, topicOwn)
	enter(OfBroker, brokerNode, brokerNetwork, brokerMesh, brokerLog, brokerReplication, brokerMetadata, brokerGroups, brokerTransactions,
		brokerSecurity, brokerRest, brokerOwn)
	enter(OfGroup, groupSettings)
	enter(OfMetrics, metricsSettings)
}

func enter(scope Scope, tables ...[]Setting) {
	for _, rows := range tables {
		for i := range rows {
			s := &rows[i]
			s.Scope = scope
			byName[key{scope, s.Name}] = s
			byScope[scope] = append(byScope[scope], s)
		}
	}
	slices.SortFunc(byScope[scope], func(a, b *Setting) int { return strings.Compare(a.Name, b.Name) })
}
