// Package sim runs a whole broker in a made-up world and holds it to its promise: a seed draws settings, topics, clients and
// faults, the very actors of the real node act on one goroutine with a virtual clock, and every invariant is checked.
//
// The same seed gives the same run, step by step. The package refuses to be part of a real node: nothing but the command, the
// examples and tests import it, and one process runs one world at a time.
package sim
