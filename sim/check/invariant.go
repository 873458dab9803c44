// Package check holds what must be true of a broker, whatever is done to it, and the history against which that is
// checked: what clients have sent, what they were answered, what they have read. It knows nothing of the broker's inside.
//
// Every invariant has a name and a sentence. The first one that is broken ends a seed.
package check

import (
	"fmt"
	"time"
)

// Invariant is something that is always true.
type Invariant struct{ Name, Sentence string }

// The invariants.
var (
	AckedIsKept     = invariant("acked-is-kept", "A record that was acknowledged is in the log, at its offset, whatever happened since.")
	ReadIsKept      = invariant("read-is-kept", "What a consumer has read stays where it was read.")
	BytesAreKept    = invariant("bytes-are-kept", "A fetched batch is, byte for byte, one that was produced to this partition.")
	OncePerSequence = invariant("once-per-sequence", "A producer's sequence number is in a log at most once per producer id and epoch.")
	SequenceOrder   = invariant("sequence-order", "The batches of a producer are in the order of their sequences, and none is missing between two.")
	OffsetsWithout  = invariant("offsets-without-gap", "Offsets are contiguous: each batch begins where the one before it ended.")
	OneAtAnOffset   = invariant("one-at-an-offset", "No two batches are acknowledged or read at the same offset.")
	MarkNeverFalls  = invariant("high-watermark-never-falls", "A high watermark that a client was told never falls again, not even in a restart.")
	ReadBelowMark   = invariant("read-below-high-watermark", "Consumers get nothing from above the high watermark.")
	StartNeverFalls = invariant("log-start-never-falls", "A log start that a client was told never falls again.")
	StartBelowMark  = invariant("log-start-below-high-watermark", "A log starts at or below its high watermark.")
	OnlyOnPurpose   = invariant("deleted-on-purpose", "Records go only as far as DeleteRecords was asked, or retention allows.")
	DeletedIsGone   = invariant("deleted-is-gone", "Records that were acknowledged as deleted do not come back.")
	EpochsRise      = invariant("epochs-rise", "Leader epochs do not fall along a log, and a partition's leader epoch never falls.")
	EpochsAgree     = invariant("epochs-agree", "OffsetForLeaderEpoch says of each epoch what the batches in the log say.")
	TimesAgree      = invariant("times-agree", "ListOffsets by time finds the first record that is not older.")
	TopicIsKept     = invariant("topic-is-kept", "A topic whose creation was acknowledged exists, with its partitions, until its deletion is asked for.")
	TopicIsGone     = invariant("topic-is-gone", "A topic whose deletion was acknowledged does not come back.")
	ConfigIsKept    = invariant("config-is-kept", "A config whose change was acknowledged has that value.")
	IDsAreUnique    = invariant("producer-ids-are-unique", "No two producers are given the same id.")
	AnswersInOrder  = invariant("answers-in-order", "A connection's requests are answered in their order, each once.")
	AnswersParse    = invariant("answers-parse", "Every answer is what the protocol says it is.")
	ProducerGoesOn  = invariant("producer-goes-on", "A producer that keeps its sequences is not refused.")
	RefusedInTurn   = invariant("refused-in-turn", "What a producer has under way behind a batch for which there was no room is refused in the same way, and is not out of order.")
	EveryoneServed  = invariant("everyone-is-served", "Once the faults are over, every client is served within the bound.")
	RecoverTwice    = invariant("recovery-twice-is-once", "A log that is recovered a second time is what it was after the first.")
	NothingLeaks    = invariant("nothing-leaks", "When every client has gone, nothing is parked for them.")
	FilesBounded    = invariant("descriptors-bounded", "No more files are open than files.open.max allows.")
	DamageIsNamed   = invariant("damage-is-named", "Damage makes at most what it hit unreadable, and the answer says so.")
	NodeLives       = invariant("node-lives", "A node starts, and no actor fails for another reason than its disk.")
	OneLeader       = invariant("one-leader-per-epoch", "A partition has at most one leader in a leader epoch.")
	MarkPerEpoch    = invariant("high-watermark-per-epoch", "A leader's high watermark does not fall within its epoch.")
	MarkWithinLog   = invariant("high-watermark-within-log", "No replica's high watermark is beyond the end of its log.")
	OneTermLeader   = invariant("one-raft-leader-per-term", "The metadata quorum has at most one leader in a term.")
	ImagesAgree     = invariant("images-agree", "The metadata image is the same on every node that has the same index.")
	ImageIsTheLog   = invariant("image-is-the-log", "The metadata image at an index is what the entries up to it make: one by one, several at once, or with a snapshot.")
	InSyncReplicas  = invariant("in-sync-are-replicas", "Who is in sync, eligible, or leads, is a replica; the leader is in sync, and nobody is in sync and merely eligible.")
	EpochsOnlyRise  = invariant("metadata-epochs-rise", "Every change of a partition raises its partition epoch, and every new leader has a new leader epoch.")
	CleanElection   = invariant("clean-election", "Who was neither in sync nor eligible is elected only where unclean elections were allowed.")
	FencedIsIdle    = invariant("fenced-is-idle", "A node that is fenced is not elected, and once it knows of it leads nothing.")
	CordonHolds     = invariant("cordon-holds", "A node that is cordoned gets no new replicas.")
	AckedByEnough   = invariant("acked-by-enough", "What is acknowledged with acks=all is on at least min.insync.replicas copies.")
	MarkWithinSync  = invariant("high-watermark-within-in-sync", "A leader's high watermark is not beyond the end of any log in sync.")
	ClaimIsSynced   = invariant("claim-is-synced", "A follower tells its leader only of what its disk has synced.")
	MarkIsClaimed   = invariant("high-watermark-is-claimed", "A leader's high watermark is not beyond what every follower in sync has said that it has synced.")
	EpochsOfLog     = invariant("epoch-cache-is-the-log", "A replica's memory of where leader epochs end agrees with the batches in its log.")
	NothingStuck    = invariant("no-reassignment-stuck", "Once the faults are over, every reassignment comes to its end within the bound.")
	ReplicasAgree   = invariant("replicas-agree", "When all is at rest, the copies of a partition are the same, byte for byte, up to the same high watermark.")
	NodesCatchUp    = invariant("nodes-catch-up", "Once the faults are over, every node gets the same metadata, and every replica all of its partition and nobody else anything of it, within the bound.")
	OneOwner        = invariant("one-owner-per-generation", "In a generation of a group nobody but one member reads a partition.")
	GenerationsRise = invariant("generations-rise", "A group's generation does not fall below one in which a member was told its assignment.")
	OffsetsStay     = invariant("committed-offsets-stay", "A committed offset that was acknowledged does not go back.")
	MembersGoOn     = invariant("members-go-on", "A group's member that does what it should is refused only for what it can do again, and a zombie's commit is refused.")
	OneHolder       = invariant("one-holder-at-a-time", "What a member by KIP-848 has nobody else is given before it has given it up, was silent for its session, or was asked to for its rebalance timeout.")
	HeldHearNews    = invariant("held-hear-news", "Nobody's heartbeat is held while there is news of its group for it.")
	SilentGo        = invariant("silent-members-go", "A member of a group whose client has gone is no member any more when its session is over.")
	StableInMark    = invariant("last-stable-within-mark", "A last stable offset is not above the high watermark.")
	StableBelowOpen = invariant("last-stable-below-open", "A replica's last stable offset is not above a transaction that has not ended below its high watermark.")
	StableStays     = invariant("last-stable-never-falls", "A leader's last stable offset does not fall within its epoch.")
	ReadBelowStable = invariant("read-below-last-stable", "Who reads what is committed gets nothing of a transaction that has not ended, nor what comes behind it.")
	AbortedUnseen   = invariant("aborted-unseen", "Who reads what is committed gets all of a transaction that is committed and nothing of one that is aborted.")
	EndIsKept       = invariant("end-is-kept", "A transaction has ended as was acknowledged, in each of its partitions.")
	MarkersInTurn   = invariant("markers-in-turn", "A marker of an epoch that is over is refused, and one that is due is not.")
	UnaskedUnseen   = invariant("uncommitted-is-not-seen", "Who reads what is committed sees nothing of a transaction that is open or aborted.")
	TxnIsWhole      = invariant("transaction-is-whole", "A transaction is seen whole or not at all.")
	TxnIsKept       = invariant("transaction-is-kept", "A transaction whose commit was acknowledged is there.")
	ExactlyOnce     = invariant("exactly-once", "What a chain of transactions has read it has written, once and in order, whatever became of its links.")
	TxnOffsetsStay  = invariant("transaction-offsets-stay", "Offsets that were committed with a transaction do not go back, and there are none of one that was not.")
	LastIsKept      = invariant("last-of-key-is-kept", "The last record of every key that was acknowledged or read is in a compacted log, at its offset.")
	GravesStay      = invariant("tombstones-stay", "A tombstone stays in a compacted log for delete.retention.ms, and what it has deleted does not come back.")
	MarkersStay     = invariant("markers-stay", "While a compacted log has anything of a transaction, it has its marker.")
	ProducersKnown  = invariant("producers-are-known", "Compaction leaves what tells which sequence comes next from every producer, whatever happens to the node.")
	LinkInOrder     = invariant("link-in-order", "A link delivers the letters of a session in their order, none missing before one that arrives, and none twice.")
	LinkGoesOn      = invariant("link-goes-on", "Once the faults are over, letters arrive at both ends of a link on every lane within the bound.")
	TwinsAgree      = invariant("twins-agree", "A seed that runs twice does the same twice.")
)

var all []*Invariant

// All are the invariants in the order of their declaration.
func All() []*Invariant { return all }

func invariant(name, sentence string) *Invariant {
	i := &Invariant{name, sentence}
	all = append(all, i)
	return i
}

// Violation is a broken invariant.
type Violation struct {
	*Invariant
	What string        // the numbers
	At   time.Duration // virtual, since the world began
}

// Broken is the violation of an invariant at a time since its world began.
func (i *Invariant) Broken(at time.Duration, format string, args ...any) *Violation {
	return &Violation{Invariant: i, What: fmt.Sprintf(format, args...), At: at}
}

// Error is a sentence: what should be true, and what is.
func (v *Violation) Error() string {
	return fmt.Sprintf("%s (%s, after %v) %s", v.Sentence, v.Name, v.At.Round(time.Millisecond), v.What)
}
