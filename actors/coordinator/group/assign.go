package group

import (
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
)

// plan is an assignment in the making: who subscribes to which topics, and what everybody was to have before. Assignors fill in what
// everybody gets.
type plan struct {
	shelves []shelf
	seats   []seat // by members' ids
	near    func(p message.PartitionID, rack string) bool
}

// shelf is a topic, and the seats of who subscribes to it, ascending.
type shelf struct {
	Topic
	readers []int
}

// seat is a member as an assignor sees it.
type seat struct {
	name string // of the instance, or the member
	rack string
	had  parts
	gets parts
}

// assignors are who assigns on the server, by name.
var assignors = map[string]func(*plan){"uniform": uniform, "range": ranges}

// Assignors are the names of who can assign.
func Assignors() []string { return []string{"uniform", "range"} }

// sortShelves puts topics into the order of their names.
func (p *plan) sortShelves() {
	slices.SortFunc(p.shelves, func(a, b shelf) int { return strings.Compare(a.Name, b.Name) })
}
