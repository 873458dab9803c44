// Package chain proves exactly-once on real processes: an application reads a topic, writes what it read to another, and commits both
// in one transaction, while brokers and the application are killed (kill -9) at random. In the end every input must be in the
// output once. It stops only what it started. The script run does it for minutes.
package chain

import (
	"os"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/tests/broker"
)

// roleVariable says which instance of the application this process is, in place of the tests: the test runs itself again.
const roleVariable = "CHAIN_APPLICATION"

func TestMain(m *testing.M) {
	if name := os.Getenv(roleVariable); name != "" {
		os.Exit(application(name, strings.Split(os.Getenv("CHAIN_BOOTSTRAP"), ",")))
	}
	broker.Main(m)
}
