package setting

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Refused is a value that a setting does not take, in the words of Kafka's ConfigException, which tools show and scripts
// compare (S135).
type Refused struct {
	Name, Value, Why string
}

// Error is "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete".
func (r *Refused) Error() string {
	if r.Why == "" {
		return fmt.Sprintf("Invalid value %s for configuration %s", r.Value, r.Name)
	}
	return fmt.Sprintf("Invalid value %s for configuration %s: %s", r.Value, r.Name, r.Why)
}

// Check refuses a value of the wrong type or out of range with a *Refused.
func (s *Setting) Check(value string) error {
	if why := s.fault(strings.TrimSpace(value)); why != "" {
		if s.Sensitive() {
			value = "[hidden]"
		}
		return &Refused{Name: s.Name, Value: value, Why: why}
	}
	return nil
}

// fault says what is wrong with a value, empty if nothing.
func (s *Setting) fault(value string) string {
	switch s.Type {
	case Boolean:
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return "Expected value to be either true or false"
		}
	case Int, Short, Long:
		n, err := strconv.ParseInt(value, 10, bits[s.Type])
		if err != nil {
			return "Not a number of type " + s.Type.String()
		}
		return s.outside(float64(n))
	case Double:
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(f) {
			return "Not a number of type DOUBLE"
		}
		return s.outside(f)
	case List:
		if all := Elements(value); s.Reads == nil {
			return s.strange(all)
		} else {
			return s.Reads(s.Name, all)
		}
	case String, Class:
		return s.strange([]string{value})
	}
	return ""
}

var bits = map[Type]int{Short: 16, Int: 32, Long: 64}

func (s *Setting) outside(n float64) string {
	if s.MinSet && n < float64(s.Min) {
		return fmt.Sprintf("Value must be at least %d", s.Min)
	}
	if s.MaxSet && n > float64(s.Max) {
		return fmt.Sprintf("Value must be no more than %d", s.Max)
	}
	return ""
}

func (s *Setting) strange(values []string) string {
	for _, v := range values {
		if len(s.Valid) > 0 && !slices.Contains(s.Valid, v) {
			return "String must be one of: " + strings.Join(s.Valid, ", ")
		}
	}
	return ""
}

// Elements are a list's elements, without the blanks around them; none if the value is empty.
func Elements(value string) []string {
	var all []string
	for e := range strings.SplitSeq(value, ",") {
		if e = strings.TrimSpace(e); e != "" {
			all = append(all, e)
		}
	}
	return all
}

// sentence is an error in Kafka's own words, which tools show and scripts compare.
type sentence string

// Error is the sentence.
func (s sentence) Error() string { return string(s) }

func sentencef(format string, values ...any) error { return sentence(fmt.Sprintf(format, values...)) }

// Op is a change to a resource's override, numbered as in Kafka's IncrementalAlterConfigs (KIP-339).
type Op int8

// The ops.
const (
	Set Op = iota
	Delete
	Append
	Subtract
)

// Alter says what an override becomes by one operation. inForce is the value now in force, from which Append and
// Subtract start; keep is false if the override goes. Errors are Kafka's sentences for INVALID_CONFIG.
func (s *Setting) Alter(op Op, inForce string, value *string) (next string, keep bool, err error) {
	if op == Delete {
		return "", false, nil
	}
	if op < Set || op > Subtract {
		return "", false, sentencef("Unknown operation type %d for the configuration %s", op, s.Name)
	}
	if value == nil {
		return "", false, sentencef("Null value not supported for : %s", s.Name)
	}
	if op != Set && s.Type != List {
		return "", false, sentencef("Can't %s to key %s because its type is not LIST.", opNames[op], s.Name)
	}
	next = combine(op, inForce, *value)
	return next, true, s.Check(next)
}

var opNames = [...]string{"SET", "DELETE", "APPEND", "SUBTRACT"}

// combine adds elements that are not there yet, or removes those that are.
func combine(op Op, inForce, value string) string {
	if op == Set {
		return value
	}
	list := Elements(inForce)
	for _, e := range Elements(value) {
		at := slices.Index(list, e)
		switch {
		case op == Append && at < 0:
			list = append(list, e)
		case op == Subtract && at >= 0:
			list = slices.Delete(list, at, at+1)
		}
	}
	return strings.Join(list, ",")
}
