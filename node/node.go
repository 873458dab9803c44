// Package node is one broker process: it reads the configuration, takes the data directory, raises the actors on the real
// stage, opens the doors, and closes everything in the opposite order.
//
// It decides nothing about records, topics or clients. What it assembles, Raise, the simulator assembles too.
package node
