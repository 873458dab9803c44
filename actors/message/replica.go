package message

// Pull asks a partition's leader, in the name of the follower that sends it, for what comes behind End. It also says how far
// that follower is, which is its acknowledgement: only Synced counts under durability=fsync.
//
// The leader parks a pull that has nothing to bring. A follower's next pull takes the parked one's place, which is then
// answered empty. One that is sent and not asked only tells how far the follower is, and leaves the parked one where it is: so a
// synced end is told while nothing new comes, and nothing is brought twice to one who tells it while an answer is on its way.
type Pull struct {
	LeaderEpoch int32 // of the term that the follower follows
	LastEpoch   int32 // leader epoch of the batch in front of End; -1: the log is empty
	End         int64 // the follower's log ends here
	Synced      int64 // and is durable up to here
	LogStart    int64 // and starts here
	BytesMax    int32 // of batches in the answer, but at least one batch
	// HighWatermark is what the follower knows of it; -1 unknown. The answer does not wait for records if the leader knows more (KIP-1166).
	HighWatermark int64
}

// Pulled answers Pull.
type Pulled struct {
	// Code is OK, NotLeaderOrFollower, FencedLeaderEpoch, UnknownLeaderEpoch, ReplicaNotAvailable (the asker keeps no copy),
	// OffsetOutOfRange (it ends below LogStart: begin again there), or KafkaStorageError.
	Code          Code
	LeaderEpoch   int32
	HighWatermark int64
	LogStart      int64
	// DivergingEpoch is not -1 where the follower's log is not a prefix of the leader's: the largest epoch that both have, and the
	// offset at which it ends for the leader. The follower cuts its log to the smaller of that and its own end of that epoch (KIP-101, KIP-595).
	DivergingEpoch int32
	DivergingEnd   int64
	Batches        []byte // whole batches, offsets and epochs set
	// Lent is the memory that Batches lie in, if that is lent (persistence/loan). Who has the word gives it back when nobody needs the
	// batches any more. It does not cross between nodes.
	Lent []byte
	// Gaps: offsets may be missing between them, since the leader's log is compacted, or was once.
	Gaps bool
}

// Cramped tells a partition's leader, in the name of the follower that sends it, that its disk has no room for what comes next:
// while that is so it need not be waited for. Nothing answers it. The follower goes on pulling, which says when it can again.
type Cramped struct{ LeaderEpoch int32 }

// Mend asks another replica of the partition, whichever of the two leads, for the batches with the offsets from From up to Next, which
// the asker's disk has damaged. Only what is committed is asked for and lent: that is the same in every copy.
type Mend struct {
	LeaderEpoch int32 // of the term that both must know
	From, Next  int64
	BytesMax    int32 // of batches in the answer, but at least one batch
}

// Mended answers Mend.
type Mended struct {
	// Code is OK, FencedLeaderEpoch or UnknownLeaderEpoch (another term is known here), OffsetNotAvailable (so much is not known to be
	// committed here), OffsetOutOfRange (it was deleted), CorruptMessage (it is damaged here as well), or KafkaStorageError.
	Code    Code
	Batches []byte // whole batches that were checked, the first of which begins at From
}
