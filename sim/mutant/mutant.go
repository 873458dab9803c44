// Package mutant plants bugs, one after the other, and sees whether the simulator finds each with the seeds that it runs
// every day: nothing is tuned for a bug.
package mutant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/sim"
)

// Mutant is a planted bug by its name.
type Mutant struct {
	Bug  planted.Bug
	Name string
	What string // a sentence
}

// All are the mutants, in the order of the bugs.
var All = []Mutant{
	{planted.AckBeforeSync, "ack-before-sync", "A commit is called durable when it arrives."},
	{planted.JournalUnchecked, "journal-unchecked", "A torn round of the journal is believed."},
	{planted.JournalUnchained, "journal-unchained", "Rounds of a journal file's earlier use are believed."},
	{planted.JournalRecycledEarly, "journal-recycled-early", "A checkpoint frees rounds on which logs still rest."},
	{planted.CheckpointUnsynced, "checkpoint-unsynced", "A checkpoint calls files synced that are not."},
	{planted.FailedSyncRetried, "failed-sync-retried", "A sync that failed is tried again and then believed."},
	{planted.SuspectBelieved, "suspect-believed", "Behind a failed sync the page cache is believed."},
	{planted.KilledTailBelieved, "killed-tail-believed", "What a kill has left in the page cache is taken for synced."},
	{planted.DirectoriesUnsynced, "directories-unsynced", "No directory of a log is ever synced."},
	{planted.NoChecksumAtRecovery, "no-checksum-at-recovery", "Torn batches are believed when a log is opened."},
	{planted.IndexOffByOne, "index-off-by-one", "A read begins one index entry too far."},
	{planted.RetentionOneMore, "retention-one-more", "Retention takes one segment too many."},
	{planted.ProducersForgotten, "producers-forgotten", "What producers have written is not learnt again from the log."},
	{planted.DuplicateEarly, "duplicate-early", "A repeated batch is acknowledged before the first one is durable."},
	{planted.DuplicateRenumbered, "duplicate-renumbered", "A repeated batch is acknowledged with another offset."},
	{planted.DuplicateAppended, "duplicate-appended", "A repeated batch is appended again."},
	{planted.MarkEarly, "mark-early", "The high watermark is published before the sync."},
	{planted.DeletionForgotten, "deletion-forgotten", "A moved log start is not written down."},
	{planted.DeletionOneMore, "deletion-one-more", "DeleteRecords takes one record too many."},
	{planted.WaitersForgotten, "waiters-forgotten", "Who waits for news of a partition is not told."},
	{planted.FetchAboveMark, "fetch-above-mark", "A fetch reads up to the log's end."},
	{planted.AnswersSwapped, "answers-swapped", "An answer overtakes another."},
	{planted.EpochNotRaised, "epoch-not-raised", "A restarted node leads on in the old leader epoch."},
	{planted.MetadataUnsynced, "metadata-unsynced", "An entry of the metadata log counts as stored before it is durable."},
	{planted.ImageEarly, "image-early", "An image is published before its entry is committed."},
	{planted.IDsRepeated, "ids-repeated", "Producer ids are given out again."},
}

// Verdict is what became of a mutant.
type Verdict struct {
	Mutant
	Found   bool
	Seeds   int
	Took    time.Duration
	Failure string // what the seed that found it says
}

// String is a line for people: "found ack-before-sync 3 seeds 0.1 s: …".
func (v Verdict) String() string {
	if !v.Found {
		return fmt.Sprintf("NOT FOUND %-24s %5d seeds %6.1f s: %s", v.Name, v.Seeds, v.Took.Seconds(), v.What)
	}
	return fmt.Sprintf("found     %-24s %5d seeds %6.1f s: %s", v.Name, v.Seeds, v.Took.Seconds(), v.Failure)
}

// Hunt looks for each mutant in so many seeds from first on, until it is found; jobs at a time, in processes of their own. each
// hears of every verdict, one at a time. The bound is in seeds, so that a busy machine finds what an idle one finds.
func Hunt(ctx context.Context, command []string, first, seeds uint64, jobs int, each func(Verdict)) error {
	var mu sync.Mutex
	var errs []error
	mutants := make(chan Mutant)
	var hunters sync.WaitGroup
	for range max(jobs, 1) {
		hunters.Go(func() {
			for m := range mutants {
				v, err := m.hunt(ctx, command, first, seeds)
				mu.Lock()
				errs = append(errs, err)
				each(v)
				mu.Unlock()
			}
		})
	}
	for _, m := range All {
		mutants <- m
	}
	close(mutants)
	hunters.Wait()
	return errors.Join(errs...)
}

func (m Mutant) hunt(ctx context.Context, command []string, first, seeds uint64) (Verdict, error) {
	v, began := Verdict{Mutant: m}, time.Now()
	err := sim.Share{First: first, Seeds: seeds, Stride: 1, Plant: m.Bug, UntilFound: true}.Elsewhere(ctx, command, func(o sim.Outcome) {
		v.Seeds++
		if o.Failure != "" {
			v.Found, v.Failure = true, fmt.Sprintf("seed %d: %s", o.Seed, o.Failure)
		}
	})
	v.Took = time.Since(began)
	return v, err
}
