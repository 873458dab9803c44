package image

import (
	"cmp"
	"iter"
	"slices"
)

// Override is one configuration value that was set for a resource.
type Override struct{ Name, Value string }

// Overrides are the values set for one resource, in the order of their names. They are never changed in place.
type Overrides []Override

// Get finds a value; found is false where it was not set.
func (o Overrides) Get(name string) (value string, found bool) {
	at, found := o.find(name)
	if !found {
		return "", false
	}
	return o[at].Value, true
}

// All are the entries in order.
func (o Overrides) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, e := range o {
			if !yield(e.Name, e.Value) {
				return
			}
		}
	}
}

// Map is a copy as a Go map.
func (o Overrides) Map() map[string]string {
	m := make(map[string]string, len(o))
	for _, e := range o {
		m[e.Name] = e.Value
	}
	return m
}

// With is a copy in which name has the value; without a value the name is gone.
func (o Overrides) With(name string, value *string) Overrides {
	at, found := o.find(name)
	switch {
	case value == nil && !found:
		return o
	case value == nil:
		return slices.Delete(slices.Clone(o), at, at+1)
	case found:
		next := slices.Clone(o)
		next[at].Value = *value
		return next
	}
	return slices.Insert(slices.Clone(o), at, Override{name, *value})
}

func (o Overrides) find(name string) (int, bool) {
	return slices.BinarySearchFunc(o, name, func(e Override, name string) int { return cmp.Compare(e.Name, name) })
}
