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
