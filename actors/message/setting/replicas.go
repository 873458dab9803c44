package setting

import (
	"strconv"
	"strings"
)

// Replicas are replicas of one topic as throttles name them: "*" for all, or partition:node and so on, "0:1,0:2,1:3" (KIP-73).
type Replicas string

// Has says that a node's replica of a partition is among them.
func (r Replicas) Has(partition, node int32) bool {
	switch strings.TrimSpace(string(r)) {
	case "":
		return false
	case "*":
		return true
	}
	for e := range strings.SplitSeq(string(r), ",") {
		index, at, _ := strings.Cut(strings.TrimSpace(e), ":")
		if isNumber(index, partition) && isNumber(at, node) {
			return true
		}
	}
	return false
}

func isNumber(text string, n int32) bool {
	got, err := strconv.ParseInt(text, 10, 32)
	return err == nil && int32(got) == n
}

// replicaList refuses what names no replicas, in Kafka's words.
func replicaList(name string, elements []string) string {
	if len(elements) == 1 && elements[0] == "*" {
		return ""
	}
	for _, e := range elements {
		index, node, ok := strings.Cut(e, ":")
		if !ok || !digits(index) || !digits(node) {
			return name + " must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
		}
	}
	return ""
}

func digits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
