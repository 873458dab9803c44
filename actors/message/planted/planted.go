// Package planted holds bugs that are built in on purpose. A simulator that finds nothing proves nothing until it is known
// what it would find: so each of these is a mistake that somebody could make, at the place where it would be made, and
// the simulator has to find every one (package sim/mutant).
//
// Nothing is planted unless the simulator says so before its world begins, in a process of its own. Everywhere else a site
// costs one load and one comparison.
package planted

// Bug is one mistake.
type Bug uint8

// The mistakes, and where they are.
const (
	None                 Bug = iota
	AckBeforeSync            // disk: a commit is called durable when it arrives
	JournalUnchecked         // journal: a torn round is believed
	JournalUnchained         // journal: rounds of a file's earlier use are believed
	JournalRecycledEarly     // disk: the checkpoint frees rounds on which logs still rest
	CheckpointUnsynced       // disk: the checkpoint calls files synced that are not
	FailedSyncRetried        // journal: a sync that failed is tried again and then believed
	SuspectBelieved          // log: behind a failed sync the page cache is believed
	KilledTailBelieved       // journal: what a kill has left in the page cache is taken for synced
	DirectoriesUnsynced      // log: no directory is ever synced
	NoChecksumAtRecovery     // log: torn batches are believed
	IndexOffByOne            // log: a read begins one index entry too far
	RetentionOneMore         // log: retention takes one segment too many
	ProducersForgotten       // partition: what producers have written is not learnt again from the log
	HoleLeft                 // partition: what stands behind a refused batch of the same producer is out of order
	DuplicateEarly           // partition: a repeated batch is acknowledged before the first one is durable
	DuplicateRenumbered      // partition: a repeated batch is acknowledged with another offset
	DuplicateAppended        // producers: a repeated batch is appended again
	MarkEarly                // partition: the high watermark is published before the sync
	DeletionForgotten        // disk: a moved log start is not written down
	DeletionOneMore          // partition: DeleteRecords takes one record too many
	WaitersForgotten         // partition: who waits for news is not told
	FetchAboveMark           // door: a fetch reads up to the log's end
	AnswersSwapped           // door: an answer overtakes another
	EpochNotRaised           // image: a restarted node leads on in the old leader epoch
	MetadataUnsynced         // controller: an entry counts as stored before it is durable
	ImageEarly               // controller: an image is published before its entry is committed
	IDsRepeated              // broker: a restarted node gives producer ids out again

	// In a cluster.

	LeaderAlone        // replica: the leader's own disk is enough for the high watermark
	AppendCounts       // replica: what a follower has appended counts as synced
	RepullSynced       // replica: a follower's next pull acknowledges what is not synced yet
	MarkBelieved       // replica: a follower's high watermark goes beyond its log
	ShrinkEarly        // replica: who is to leave the in-sync set is not waited for, before the controller has agreed
	GrowthEarly        // replica: a follower is taken into the in-sync set before it has what is committed
	ElectedMarkLow     // replica: a leader that has just started shows a high watermark before it knows one
	ElectedMarkEarly   // replica: a new leader takes all that it has for committed
	EpochUncompared    // replica: a follower's last epoch is not compared with the leader's
	CutByMark          // replica: a follower cuts its log at its high watermark and not where the epochs part
	MinInsyncIgnored   // replica: records are committed and acknowledged with fewer in sync than min.insync.replicas
	DeposedAcks        // partition: who leads no more acknowledges what its own disk has
	ProducersNotCopied // partition: a follower does not learn who has written what it copies
	DeletionUncopied   // partition: DeleteRecords is acknowledged before followers have deleted
	MarkUntold         // partition: followers at rest are not told that the high watermark has moved
	StartUncopied      // partition: a follower's log does not begin where its leader's does
	LentTwice          // partition: what a follower copies is lent to somebody else before its disk has it in the journal
	LeaderEpochKept    // metadata: a new leader leads on in the old leader epoch
	CordonIgnored      // metadata: a node that is cordoned gets new replicas
	UncleanAlways      // metadata: anybody may be elected where nobody eligible is alive
	TermForgotten      // controller: term and vote are not written down
	SnapshotAhead      // controller: a snapshot says that it holds one entry more than it does
	OrphansDeleted     // broker: partitions that the metadata does not know yet are deleted at the start
	StaleImageShown    // broker: a restarted node shows metadata from before its own registration
	PeerDownUntold     // stage: nobody is told that another node is lost
	CreditsLeaked      // link: a new session begins with the credits that the last one had left
	GapUnnoticed       // link: a missing frame is not noticed
	WipedVotes         // controller: who has lost its disk votes as the one that has promised
	WipedInSync        // metadata: who has lost its disk keeps its place in the in-sync set

	// In groups.

	ZombieCommits     // group: a commit in the name of a generation that is over is taken
	GroupTwice        // group: two members are assigned the same
	GroupAnswersEarly // coordinator: answers leave before their records are committed
	GroupReadShort    // coordinator: the last records of the log are not replayed
	HandedEarly       // group: a member by KIP-848 is given what another has not given up yet
	RevokedUntold     // group: what a member is to give up counts as given up before it has said so
	ProgressUnwritten // group: what members by KIP-848 have is not written down
	StaleCommits      // group: a commit in an older epoch is taken, whoever has the partition by now
	HeldForever       // group: a member whose heartbeat is held lives, whether or not its client does
	HeldUntold        // group: who is held is not told of a rebalance

	// In transactions.

	EndAnsweredEarly   // coordinator: the end of a transaction is answered before it is written
	MarkersForgotten   // txn: markers are not sent again behind a failover
	OneMarkerEnough    // txn: a transaction is complete when the first partition has its marker
	ZombieTransacts    // txn: a producer of an older epoch may go on
	TimeoutKeepsEpoch  // txn: who took too long is not fenced
	PendingShown       // group: offsets of an open transaction are fetched as if they were committed
	AbortedOffsetsKept // group: offsets of an aborted transaction are committed
	PendingForgotten   // group: offsets of open transactions are not learnt again from the log
	MembersUnasked     // group: offsets of a transaction are taken from who is a member no more
	StableEarly        // producers: a transaction counts as decided before its marker is committed
	OldMarkerTaken     // producers: a marker of an epoch that is over ends a transaction
	OpenForgotten      // producers: a picture forgets which transactions are open
	AbortsForgotten    // log: what is aborted is not learnt again from the log
	StableUncopied     // partition: a follower takes all that is committed for stable
	Unasked            // partition: a transaction begins without its coordinator's word
	AnswersUnproved    // coordinator: who may be deposed answers from what it knows
	AbortsCutShort     // log: who reads what is committed is told only of transactions that ended in the segment it reads

	// In compaction.

	TombstoneEarly    // log: a tombstone goes in the first pass that meets it
	ProducerCompacted // log: nothing stays of a producer's last batches
	SwapUnsynced      // log: a compacted segment takes its place before it is synced
	LatestCompacted   // log: compaction takes the last record of a key, too
	EndCompacted      // log: nothing stays of a compacted segment's last batch
	GuardForgotten    // log: a journal is replayed over what was compacted
	MarkerEarly       // log: a marker goes while something of its transaction is left
	CompactedAhead    // partition: compaction goes beyond what is committed

	// Between controllers.
	AskerRemembered // controller: what a node has asked that was lost since is begun anew
	end
)

// All are the bugs, in order.
func All() []Bug {
	var all []Bug
	for b := None + 1; b < end; b++ {
		all = append(all, b)
	}
	return all
}

var planted Bug

// Plant sets the bug of this process; None takes it out again.
func Plant(b Bug) { planted = b }

// Is says that this is the planted bug.
func Is(b Bug) bool { return planted == b }
