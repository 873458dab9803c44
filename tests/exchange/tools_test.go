package exchange

import (
	"os"
	"path/filepath"
)

// kafkaTools is the folder of Kafka's command-line tools, empty if there are none: that of TROUPE_KAFKA_TOOLS, or the newest
// that the client suites have installed.
func kafkaTools() string {
	if bin := os.Getenv("TROUPE_KAFKA_TOOLS"); bin != "" {
		return bin
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	complete, _ := filepath.Glob(filepath.Join(cache, "troupe-suites", "kafka-tools-*", "ok"))
	if len(complete) == 0 {
		return ""
	}
	return filepath.Join(filepath.Dir(complete[len(complete)-1]), "bin")
}
