package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/stage"
)

// api is a row of the version table: what is advertised and who handles it.
type api struct {
	key      int16
	min, max int16
	shape    string // of a request's body
	start    handler

	walk     shape
	flexible int16 // the first flexible version
}

// handler begins to work on a request and answers it, now or later. What it is given is valid, as far as its bytes go.
type handler func(c stage.Context, r *Request)

// served are the APIs that work, in the order of their keys (protocol.md, section 1). What is not here is not advertised.
func served() []api {
	return []api{
		produceAPI,
		fetchAPI,
		listOffsetsAPI,
		metadataAPI,
		offsetCommitAPI,
		offsetFetchAPI,
		findCoordinatorAPI,
		joinGroupAPI,
		heartbeatAPI,
		leaveGroupAPI,
		syncGroupAPI,
		describeGroupsAPI,
		listGroupsAPI,
		apiVersions,
		initProducerIDAPI,
		offsetForLeaderEpochAPI,
		writeTxnMarkers,
		createTopics,
		deleteTopics,
		deleteRecords,
		addPartitionsToTxnAPI,
		addOffsetsToTxnAPI,
		endTxnAPI,
		txnOffsetCommitAPI,
		describeACLs,
		createACLs,
		deleteACLs,
		describeConfigs,
		alterConfigs,
		alterReplicaLogDirs,
		describeLogDirs,
		createPartitions,
		deleteGroupsAPI,
		electLeaders,
		incrementalAlterConfigs,
		alterPartitionReassignments,
		listPartitionReassignments,
		offsetDeleteAPI,
		describeQuorum,
		updateFeatures,
		describeCluster,
		describeProducers,
		unregisterBroker,
		describeTransactionsAPI,
		listTransactionsAPI,
		consumerGroupHeartbeatAPI,
		consumerGroupDescribeAPI,
		listConfigResources,
		describeTopicPartitions,
	}
}

// versions finds a served API by its key.
type versions struct{ rows []*api }

func newVersions(rows []api) *versions {
	v := &versions{}
	for i := range rows {
		row := rows[i]
		row.walk = shaped(row.shape)
		row.flexible = firstFlexible(row.key)
		for int(row.key) >= len(v.rows) {
			v.rows = append(v.rows, nil)
		}
		if v.rows[row.key] != nil {
			panic(fmt.Sprintf("kafka: API key %d is in the table twice", row.key))
		}
		v.rows[row.key] = &row
	}
	return v
}

// all are the advertised rows by ascending key.
func (v *versions) all(yield func(*api) bool) {
	for _, row := range v.rows {
		if row != nil && !yield(row) {
			return
		}
	}
}

func (v *versions) row(key int16) *api {
	if key < 0 || int(key) >= len(v.rows) {
		return nil
	}
	return v.rows[key]
}

func firstFlexible(key int16) int16 {
	q := kmsg.RequestForKey(key)
	if q == nil {
		panic(fmt.Sprintf("kafka: nobody knows API key %d", key))
	}
	for v := int16(0); v <= q.MaxVersion(); v++ {
		if q.SetVersion(v); q.IsFlexible() {
			return v
		}
	}
	return 1<<15 - 1
}

// decoded makes a handler from a function that takes kmsg's request. Strings in it are copies; byte slices are the
// frame's.
func decoded[Q any, P interface {
	*Q
	kmsg.Request
}](handle func(c stage.Context, r *Request, q P)) handler {
	return func(c stage.Context, r *Request) {
		q := P(new(Q))
		q.SetVersion(r.Version)
		if err := q.ReadFrom(r.Body); err != nil {
			r.Refuse(c, fmt.Errorf("its body cannot be decoded: %w", err))
			return
		}
		handle(c, r, q)
	}
}
