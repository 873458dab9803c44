// Package troupe is an event-streaming broker in one binary: Kafka's log and wire protocol, built from supervised actors.
// The command is cmd/troupe; ARCHITECTURE.md says where everything is.
package troupe
