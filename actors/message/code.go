package message

// Code is one of Kafka's error codes, the number that goes over the wire. Zero is success.
type Code int16

// The codes that actors answer with (https://kafka.apache.org/protocol#protocol_error_codes).
const (
	OK                           Code = 0
	UnknownServerError           Code = -1
	OffsetOutOfRange             Code = 1
	CorruptMessage               Code = 2
	UnknownTopicOrPartition      Code = 3
	LeaderNotAvailable           Code = 5
	NotLeaderOrFollower          Code = 6
	RequestTimedOut              Code = 7
	BrokerNotAvailable           Code = 8
	ReplicaNotAvailable          Code = 9
	MessageTooLarge              Code = 10
	OffsetMetadataTooLarge       Code = 12
	CoordinatorLoadInProgress    Code = 14
	NotCoordinator               Code = 16
	IllegalGeneration            Code = 22
	InvalidCommitOffsetSize      Code = 28
	InconsistentGroupProtocol    Code = 23
	InvalidGroupID               Code = 24
	UnknownMemberID              Code = 25
	InvalidSessionTimeout        Code = 26
	RebalanceInProgress          Code = 27
	NonEmptyGroup                Code = 68
	GroupIDNotFound              Code = 69
	MemberIDRequired             Code = 79
	GroupMaxSizeReached          Code = 81
	FencedInstanceID             Code = 82
	GroupSubscribedToTopic       Code = 86
	UnstableOffsetCommit         Code = 88
	CoordinatorNotAvailable      Code = 15
	InvalidTopicException        Code = 17
	RecordListTooLarge           Code = 18
	NotEnoughReplicas            Code = 19
	NotEnoughReplicasAfterAppend Code = 20
	InvalidRequiredAcks          Code = 21
	InvalidTimestamp             Code = 32
	UnsupportedVersion           Code = 35
	TopicAlreadyExists           Code = 36
	InvalidPartitions            Code = 37
	InvalidReplicationFactor     Code = 38
	InvalidReplicaAssignment     Code = 39
	InvalidConfig                Code = 40
	NotController                Code = 41
	InvalidRequest               Code = 42
	UnsupportedForMessageFormat  Code = 43
	PolicyViolation              Code = 44
	OutOfOrderSequenceNumber     Code = 45
	DuplicateSequenceNumber      Code = 46
	InvalidProducerEpoch         Code = 47
	InvalidTxnState              Code = 48
	KafkaStorageError            Code = 56
	FencedLeaderEpoch            Code = 74
	UnknownLeaderEpoch           Code = 75
	UnsupportedCompressionType   Code = 76
	StaleBrokerEpoch             Code = 77
	OffsetNotAvailable           Code = 78
	PreferredLeaderNotAvailable  Code = 80
	EligibleLeadersNotAvailable  Code = 83
	ElectionNotNeeded            Code = 84
	NoReassignmentInProgress     Code = 85
	InvalidRecord                Code = 87
	ResourceNotFound             Code = 91
	FeatureUpdateFailed          Code = 96
	UnknownTopicID               Code = 100
	InvalidUpdateVersion         Code = 95
	ThrottlingQuotaExceeded      Code = 89
	TopicDeletionDisabled        Code = 73
	InconsistentVoterSet         Code = 94
	BrokerIDNotRegistered        Code = 102
	ReassignmentInProgress       Code = 60
	IneligibleReplica            Code = 107
	NewLeaderElected             Code = 108
	FencedMemberEpoch            Code = 110
	UnreleasedInstanceID         Code = 111
	UnsupportedAssignor          Code = 112
	StaleMemberEpoch             Code = 113
	InvalidRegularExpression     Code = 128
)
