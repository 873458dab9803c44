package journal

import "fmt"

// Damaged says that rounds which were once synced cannot be read. Nothing is known of what they held, so no log that
// rested on the journal may be believed to be whole.
type Damaged struct {
	File     string
	From, To int64  // bytes within the file; 0, 0 if the whole file is missing or has no valid header
	First    uint64 // the first and the last round that is missing
	Last     uint64
	Why      string
}

// Error names the range and the remedy.
func (d *Damaged) Error() string {
	return fmt.Sprintf("journal %s: bytes %d to %d: %s: rounds %d to %d were synced and cannot be read; "+
		"restore the data directory, or remove the journal and its checkpoint to go on without what was in them",
		d.File, d.From, d.To, d.Why, d.First, d.Last)
}
