package message

import "time"

// Spans takes what an actor did for a traced request between two moments, as a span of that trace. A nil Spans takes
// nothing; others may be called by many actors at once and must not block.
type Spans func(of Trace, name string, from, to time.Time)

// Wants says that somebody takes spans of the trace: the moments need not be looked up otherwise.
func (s Spans) Wants(of Trace) bool { return s != nil && of != Trace{} }
