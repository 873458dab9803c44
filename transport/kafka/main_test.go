package kafka

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain sees to it that no goroutine of a socket outlives its test.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
