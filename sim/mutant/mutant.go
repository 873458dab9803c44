// Package mutant plants bugs, one after the other, and sees whether the simulator finds each with the seeds that it runs
// every day: nothing is tuned for a bug. full.json is what the last full run has printed (troupe sim --mutants --full --json): each
// bug is looked for first where it was found then, and only where that finds nothing any more from seed 0 on. Few are met so seldom by seeds that
// the schedule is kept that has found them (schedules, each a sim.Regression).
package mutant

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/message/planted"
	"github.com/troupe-broker/troupe/sim"
)

// Mutant is a planted bug by its name.
type Mutant struct {
	Bug   planted.Bug
	Name  string
	World World  // in which it is looked for
	What  string // a sentence
}

// World is what kind of world a bug is looked for in: of so many nodes, or, where it is Links, of two ends of a link.
type World int

// Links is a world of two ends of a link (package links).
const Links World = 0

// String is "links", "1 node", "3 nodes".
func (w World) String() string {
	switch w {
	case Links:
		return "links"
	case 1:
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", int(w))
}

// All are the mutants, in the order of the bugs.
var All = []Mutant{
	{planted.AckBeforeSync, "ack-before-sync", 1, "A commit is called durable when it arrives."},
	{planted.JournalUnchecked, "journal-unchecked", 1, "A torn round of the journal is believed."},
	{planted.JournalUnchained, "journal-unchained", 1, "Rounds of a journal file's earlier use are believed."},
	{planted.JournalRecycledEarly, "journal-recycled-early", 1, "A checkpoint frees rounds on which logs still rest."},
	{planted.CheckpointUnsynced, "checkpoint-unsynced", 1, "A checkpoint calls files synced that are not."},
	{planted.FailedSyncRetried, "failed-sync-retried", 1, "A sync that failed is tried again and then believed."},
	{planted.SuspectBelieved, "suspect-believed", 1, "Behind a failed sync the page cache is believed."},
	{planted.KilledTailBelieved, "killed-tail-believed", 1, "What a kill has left in the page cache is taken for synced."},
	{planted.DirectoriesUnsynced, "directories-unsynced", 1, "No directory of a log is ever synced."},
	{planted.NoChecksumAtRecovery, "no-checksum-at-recovery", 1, "Torn batches are believed when a log is opened."},
	{planted.IndexOffByOne, "index-off-by-one", 1, "A read begins one index entry too far."},
	{planted.RetentionOneMore, "retention-one-more", 1, "Retention takes one segment too many."},
	{planted.ProducersForgotten, "producers-forgotten", 1, "What producers have written is not learnt again from the log."},
	{planted.HoleLeft, "hole-left", 1, "What stands behind a batch that was refused for want of room is told that it is out of order."},
	{planted.DuplicateEarly, "duplicate-early", 1, "A repeated batch is acknowledged before the first one is durable."},
	{planted.DuplicateRenumbered, "duplicate-renumbered", 1, "A repeated batch is acknowledged with another offset."},
	{planted.DuplicateAppended, "duplicate-appended", 1, "A repeated batch is appended again."},
	{planted.MarkEarly, "mark-early", 3, "The high watermark is published before the sync."},
	{planted.DeletionForgotten, "deletion-forgotten", 1, "A moved log start is not written down."},
	{planted.DeletionOneMore, "deletion-one-more", 1, "DeleteRecords takes one record too many."},
	{planted.WaitersForgotten, "waiters-forgotten", 1, "Who waits for news of a partition is not told."},
	{planted.FetchAboveMark, "fetch-above-mark", 1, "A fetch reads up to the log's end."},
	{planted.AnswersSwapped, "answers-swapped", 1, "An answer overtakes another."},
	{planted.EpochNotRaised, "epoch-not-raised", 1, "A restarted node leads on in the old leader epoch."},
	{planted.MetadataUnsynced, "metadata-unsynced", 1, "An entry of the metadata log counts as stored before it is durable."},
	{planted.ImageEarly, "image-early", 1, "An image is published before its entry is committed."},
	{planted.IDsRepeated, "ids-repeated", 1, "Producer ids are given out again."},
	{planted.LeaderAlone, "leader-alone", 3, "The leader's own disk is enough for the high watermark."},
	{planted.AppendCounts, "append-counts", 3, "What a follower has appended counts as synced."},
	{planted.RepullSynced, "repull-synced", 3, "A follower's next pull acknowledges what is not synced yet."},
	{planted.MarkBelieved, "mark-believed", 3, "A follower's high watermark goes beyond its log."},
	{planted.ShrinkEarly, "shrink-early", 3, "Who is to leave the in-sync set is not waited for, before the controller has agreed."},
	{planted.GrowthEarly, "growth-early", 3, "A follower is taken into the in-sync set before it has what is committed."},
	{planted.ElectedMarkLow, "elected-mark-low", 3, "A leader that has just started shows a high watermark before it knows one."},
	{planted.ElectedMarkEarly, "elected-mark-early", 3, "A new leader takes all that it has for committed."},
	{planted.EpochUncompared, "epoch-uncompared", 3, "A follower's last epoch is not compared with the leader's."},
	{planted.CutByMark, "cut-by-mark", 3, "A follower cuts its log at its high watermark and not where the epochs part."},
	{planted.MinInsyncIgnored, "min-insync-ignored", 3, "Records are committed and acknowledged with fewer in sync than min.insync.replicas."},
	{planted.DeposedAcks, "deposed-acks", 3, "Who leads no more acknowledges what its own disk has."},
	{planted.ProducersNotCopied, "producers-not-copied", 3, "A follower does not learn who has written what it copies."},
	{planted.DeletionUncopied, "deletion-uncopied", 3, "DeleteRecords is acknowledged before followers have deleted."},
	{planted.MarkUntold, "mark-untold", 3, "Followers at rest are not told that the high watermark has moved."},
	{planted.StartUncopied, "start-uncopied", 3, "A follower's log does not begin where its leader's does."},
	{planted.LentTwice, "lent-twice", 3, "What a follower copies is lent to somebody else before its disk has it in the journal."},
	{planted.LeaderEpochKept, "leader-epoch-kept", 3, "A new leader leads on in the old leader epoch."},
	{planted.CordonIgnored, "cordon-ignored", 3, "A node that is cordoned gets new replicas."},
	{planted.UncleanAlways, "unclean-always", 3, "Anybody may be elected where nobody eligible is alive."},
	{planted.TermForgotten, "term-forgotten", 3, "Term and vote are not written down."},
	{planted.SnapshotAhead, "snapshot-ahead", 3, "A snapshot says that it holds one entry more than it does."},
	{planted.OrphansDeleted, "orphans-deleted", 3, "Partitions that the metadata does not know yet are deleted at the start."},
	{planted.StaleImageShown, "stale-image-shown", 1, "A restarted node shows metadata from before its own registration."},
	{planted.PeerDownUntold, "peer-down-untold", 3, "Nobody is told that another node is lost."},
	{planted.CreditsLeaked, "credits-leaked", Links, "A new session begins with the credits that the last one had left."},
	{planted.GapUnnoticed, "gap-unnoticed", Links, "A missing frame is not noticed."},
	{planted.WipedVotes, "wiped-votes", 3, "Who has lost its disk votes as the one that has promised."},
	{planted.WipedInSync, "wiped-in-sync", 3, "Who has lost its disk keeps its place in the in-sync set."},
	{planted.ZombieCommits, "zombie-commits", 1, "A commit in the name of a generation that is over is taken."},
	{planted.GroupTwice, "group-twice", 1, "Two members are assigned the same."},
	{planted.GroupAnswersEarly, "group-answers-early", 1, "A coordinator's answers leave before their records are committed."},
	{planted.GroupReadShort, "group-read-short", 1, "A coordinator does not replay the last records of its log."},
	{planted.HandedEarly, "handed-early", 1, "A member by KIP-848 is given what another has not given up yet."},
	{planted.RevokedUntold, "revoked-untold", 1, "What a member by KIP-848 is to give up counts as given up before it has said so."},
	{planted.ProgressUnwritten, "progress-unwritten", 1, "What members by KIP-848 have is not written down."},
	{planted.StaleCommits, "stale-commits", 1, "A commit in an older epoch is taken, whoever has the partition by now."},
	{planted.HeldForever, "held-forever", 1, "A member whose heartbeat is held lives, whether or not its client does."},
	{planted.HeldUntold, "held-untold", 1, "Who is held is not told of a rebalance."},
	{planted.EndAnsweredEarly, "end-answered-early", 1, "The end of a transaction is answered before it is written."},
	{planted.MarkersForgotten, "markers-forgotten", 1, "Markers are not sent again behind a failover."},
	{planted.OneMarkerEnough, "one-marker-enough", 3, "A transaction is complete when the first partition has its marker."},
	{planted.ZombieTransacts, "zombie-transacts", 1, "A producer of an older epoch may go on with a transactional id."},
	{planted.TimeoutKeepsEpoch, "timeout-keeps-epoch", 1, "Whose transaction took too long is not fenced."},
	{planted.PendingShown, "pending-shown", 1, "Offsets of an open transaction are fetched as if they were committed."},
	{planted.AbortedOffsetsKept, "aborted-offsets-kept", 1, "Offsets of an aborted transaction are committed."},
	{planted.PendingForgotten, "pending-forgotten", 1, "Offsets of open transactions are not learnt again from the log."},
	{planted.MembersUnasked, "members-unasked", 1, "Offsets of a transaction are taken from who is a member of the group no more."},
	{planted.StableEarly, "stable-early", 3, "A transaction counts as decided before its marker is committed."},
	{planted.OldMarkerTaken, "old-marker-taken", 1, "A marker of an epoch that is over ends a transaction."},
	{planted.OpenForgotten, "open-forgotten", 1, "A picture of producers forgets which transactions are open."},
	{planted.AbortsForgotten, "aborts-forgotten", 1, "What is aborted is not learnt again from the log."},
	{planted.StableUncopied, "stable-uncopied", 3, "A follower takes all that is committed for stable."},
	{planted.Unasked, "unasked", 1, "A transaction begins in a partition without its coordinator's word."},
	{planted.AnswersUnproved, "answers-unproved", 3, "A coordinator that may be deposed answers from what it knows."},
	{planted.AbortsCutShort, "aborts-cut-short", 1, "Who reads what is committed is told only of aborted transactions that ended in the segment it reads."},
	{planted.TombstoneEarly, "tombstone-early", 1, "A tombstone goes in the first compaction that meets it."},
	{planted.ProducerCompacted, "producer-compacted", 1, "Compaction leaves nothing of a producer's last batches."},
	{planted.SwapUnsynced, "swap-unsynced", 1, "A compacted segment takes the place of others before it is synced."},
	{planted.LatestCompacted, "latest-compacted", 1, "Compaction takes the last record of a key, too."},
	{planted.EndCompacted, "end-compacted", 1, "Compaction leaves nothing of a segment's last batch."},
	{planted.GuardForgotten, "guard-forgotten", 1, "A journal is replayed over what was compacted."},
	{planted.MarkerEarly, "marker-early", 1, "A marker goes while something of its transaction is left."},
	{planted.CompactedAhead, "compacted-ahead", 1, "Compaction goes beyond what is committed."},
	{planted.AskerRemembered, "asker-remembered", 5, "What a node has asked that was lost since is begun anew."},
}

// Exists says that there is a mutant of that name.
func Exists(name string) bool {
	return slices.ContainsFunc(All, func(m Mutant) bool { return m.Name == name })
}

// Verdict is what became of a mutant.
type Verdict struct {
	Mutant    string  `json:"mutant"`
	World     string  `json:"world"`
	Found     bool    `json:"found"`
	Seed      uint64  `json:"seed"`  // that found it
	Seeds     uint64  `json:"seeds"` // that were run
	Full      uint64  `json:"full"`  // that find it from seed 0 on, at most
	Seconds   float64 `json:"seconds"`
	Schedule  bool    `json:"schedule,omitempty"`  // the stored one of that seed found it, and no seed of those that were run
	Invariant string  `json:"invariant,omitempty"` // that was broken
	What      string  `json:"what"`                // the bug, or what the seed says
}

// String is a line for people: "found     leader-alone  3 nodes  by seed 0, 0.7 s (in a full run 1 seeds at most): …".
func (v Verdict) String() string {
	if !v.Found {
		return fmt.Sprintf("NOT FOUND %-24s %-7s in %d seeds, %.1f s: %s", v.Mutant, v.World, v.Seeds, v.Seconds, v.What)
	}
	if v.Schedule {
		return fmt.Sprintf("found     %-24s %-7s by the schedule of seed %d, %.1f s: %s", v.Mutant, v.World, v.Seed, v.Seconds, v.What)
	}
	return fmt.Sprintf("found     %-24s %-7s by seed %4d, %5.1f s (in a full run %d seeds at most): %s", v.Mutant, v.World, v.Seed, v.Seconds, v.Full, v.What)
}

//go:embed full.json
var lastRun []byte

// known is where each mutant was found in the last full run.
func known() map[string]Verdict {
	all := map[string]Verdict{}
	for lines := json.NewDecoder(bytes.NewReader(lastRun)); ; {
		var v Verdict
		if lines.Decode(&v) != nil {
			return all
		}
		if v.Found {
			all[v.Mutant] = v
		}
	}
}

// Search says how mutants are looked for.
type Search struct {
	Command []string      // starts a process for seeds (sim.Share.Elsewhere)
	Seeds   uint64        // at most, of each
	Longest time.Duration // at most, for each; 0: as long as the seeds take
	Jobs    int           // processes at a time
	Full    bool          // from seed 0 on, wherever it was found before
	Only    string        // the mutant with this name; empty: all
}

// Hunt looks for each mutant until it is found. each hears of every verdict, one at a time. The first
// bound is in seeds, so that a busy machine finds what an idle one finds; Longest is there so that the run comes to an end.
func (s Search) Hunt(ctx context.Context, each func(Verdict)) error {
	var mu sync.Mutex
	var errs []error
	last, mutants := known(), make(chan Mutant)
	var hunters sync.WaitGroup
	for range max(s.Jobs, 1) {
		hunters.Go(func() {
			for m := range mutants {
				v, err := s.hunt(ctx, m, last)
				mu.Lock()
				errs = append(errs, err)
				each(v)
				mu.Unlock()
			}
		})
	}
	for _, m := range All {
		if s.Only == "" || s.Only == m.Name {
			mutants <- m
		}
	}
	close(mutants)
	hunters.Wait()
	return errors.Join(errs...)
}

func (s Search) hunt(ctx context.Context, m Mutant, last map[string]Verdict) (Verdict, error) {
	v, began := Verdict{Mutant: m.Name, World: m.World.String(), What: m.What}, time.Now()
	bounded, cancel := ctx, func() {}
	if s.Longest > 0 {
		bounded, cancel = context.WithTimeout(ctx, s.Longest)
	}
	defer cancel()
	err := error(nil)
	if at, found := last[m.Name]; found && !s.Full && !at.Schedule {
		v.Full = at.Seed + 1
		err = s.run(bounded, m, at.Seed, 1, &v)
	}
	if !v.Found && err == nil && !s.Full {
		err = follow(m, &v)
	}
	if !v.Found && err == nil {
		v.Seeds = 0
		err = s.run(bounded, m, 0, s.Seeds, &v)
		v.Full = v.Seeds
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = nil // the verdict says what came of it
	}
	if !v.Found && err == nil && s.Full {
		err = follow(m, &v)
	}
	v.Seconds = math.Round(time.Since(began).Seconds()*10) / 10
	return v, err
}

//go:embed schedules
var schedules embed.FS

// alone is held by who has a world in this process.
var alone sync.Mutex

// follow runs a mutant's schedule, if there is one.
func follow(m Mutant, v *Verdict) error {
	r, err := sim.LoadRegression(schedules, "schedules/"+m.Name+".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	alone.Lock()
	defer alone.Unlock()
	if o := sim.RunPlanted(r.Scenario, m.Bug); o.Failure != "" {
		v.Found, v.Schedule, v.Seed, v.Invariant, v.What = true, true, o.Seed, o.Invariant, o.Failure
	}
	return nil
}

// run runs so many seeds with the mutant's bug, or until one fails.
func (s Search) run(ctx context.Context, m Mutant, first, seeds uint64, v *Verdict) error {
	share := sim.Share{First: first, Seeds: seeds, Stride: 1, Nodes: int(m.World), Links: m.World == Links, Plant: m.Bug, UntilFound: true}
	return share.Elsewhere(ctx, s.Command, func(o sim.Outcome) {
		v.Seeds++
		if o.Failure != "" {
			v.Found, v.Seed, v.Invariant, v.What = true, o.Seed, o.Invariant, o.Failure
		}
	})
}
