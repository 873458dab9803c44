package node

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Garbage is collected by the runtime's own pace (GOGC, 100 unless the environment says otherwise), which keeps an idle
// broker small: its bytes are in the page cache, and what requests use is recycled. Near the limit it is collected harder
// rather than let the kernel kill the process. GOMEMLIMIT, if given, is left alone.
func limitMemory(limit int64) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit <= 0 {
		limit = machineMemory() / 2
	}
	debug.SetMemoryLimit(limit)
}

// machineMemory is what the machine has, or the control group that the process is in.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	total := int64(math.MaxInt64)
	if unix.Sysinfo(&info) == nil {
		total = int64(info.Totalram) * int64(info.Unit)
	}
	content, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return total
	}
	if group, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64); err == nil {
		total = min(total, group)
	}
	return total
}

// openFilesMax is how many of the data directory's files may be open at once: what was configured, or half of what the
// process may open, so that as many are left for sockets. The process's own limit is raised as far as it may be.
func openFilesMax(configured int64) int {
	if configured > 0 {
		return int(min(configured, math.MaxInt32))
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 512
	}
	return int(max(16, min(limit.Cur/2, 1<<16)))
}
