package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// move is where a partition's replicas shall be; nil cancels a move.
type move struct {
	topic     string
	partition int32
	replicas  []int32
}

// moveRow is a move as a program reads it.
type moveRow struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Replicas  []int32 `json:"replicas"` // where it goes; null: a move is called off
}

func moveRows(moves []move) []moveRow {
	rows := make([]moveRow, len(moves))
	for i, m := range moves {
		rows[i] = moveRow{m.topic, m.partition, m.replicas}
	}
	return rows
}

// moved is what a command has moved, as a program reads it.
type moved struct {
	Node  *int32    `json:"node,omitempty"` // that it moves from; absent: it was not asked for a node
	Moves []moveRow `json:"moves"`
	Done  bool      `json:"done"` // everything is where it shall be: it was waited for
}

// target is where a partition's replicas are, or are going to be if it is on the move.
func (s *spread) target() []int32 {
	return slices.DeleteFunc(slices.Clone(s.Replicas), func(n int32) bool { return slices.Contains(s.Removing, n) })
}

// start asks for moves and says which is refused; those that are refused with what is to be forgiven do not count.
func start(ctx context.Context, client *kgo.Client, moves []move, forgive ...error) error {
	var q kadm.AlterPartitionAssignmentsReq
	for _, m := range moves {
		q.Assign(m.topic, m.partition, m.replicas)
	}
	fates, err := kadm.NewClient(client).AlterPartitionAssignments(ctx, q)
	if err != nil {
		return err
	}
	var refused []string
	for _, f := range fates.Sorted() {
		if f.Err != nil && !slices.Contains(forgive, f.Err) {
			refused = append(refused, fmt.Sprintf("%s/%d: %v", f.Topic, f.Partition, told(f.Err, f.ErrMessage)))
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("%d of %d moves are refused, the first is %s", len(refused), len(moves), refused[0])
	}
	return nil
}

// settlePause is how long to wait between two looks at what is moving.
const settlePause = 250 * time.Millisecond

// settled waits until every partition is as it should be, and tells how many are not whenever that changes.
func settled(ctx context.Context, client *kgo.Client, done func(*spread) bool, tell func(left int)) error {
	for last := -1; ; {
		all, err := spreads(ctx, client)
		if err != nil {
			return err
		}
		left := len(slices.DeleteFunc(all, func(s spread) bool { return done(&s) }))
		if left == 0 {
			return nil
		}
		if left != last {
			tell(left)
		}
		last = left
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settlePause):
		}
	}
}
