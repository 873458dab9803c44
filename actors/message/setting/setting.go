// Package setting is the one table of everything that can be configured: name, type, default, range, whether it can
// change while the broker runs, a sentence, and the range from which the simulator draws. Flags, environment, files,
// DescribeConfigs and the reference page are all made from it.
//
// It reads no file and no environment (package node does); it parses, checks and resolves values, and it refuses unknown
// names with a sentence that says what is near.
package setting
