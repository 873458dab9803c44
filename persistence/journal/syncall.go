package journal

import (
	"sync"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/planted"
)

// SyncAll syncs the files, at most parallel at a time, and returns when all have been tried: nil, or one error per file, nil
// where it went well. With parallel 1 they are synced in order on the caller's goroutine. No file may be named twice.
func SyncAll(files []message.Syncer, parallel int) []error {
	errs := make([]error, len(files))
	one := func(i int) {
		if errs[i] = files[i].Sync(); errs[i] != nil && planted.Is(planted.FailedSyncRetried) {
			errs[i] = files[i].Sync()
		}
	}
	if parallel = min(parallel, len(files)); parallel <= 1 {
		for i := range files {
			one(i)
		}
		return failures(errs)
	}
	var group sync.WaitGroup
	for worker := range parallel {
		group.Go(func() {
			for i := worker; i < len(files); i += parallel {
				one(i)
			}
		})
	}
	group.Wait()
	return failures(errs)
}

func failures(errs []error) []error {
	for _, err := range errs {
		if err != nil {
			return errs
		}
	}
	return nil
}
