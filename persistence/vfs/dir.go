package vfs

// Directory is a directory as something to be synced, like a file.
type Directory struct {
	FS   FS
	Path string
}

// Sync makes the directory's entries durable.
func (d Directory) Sync() error { return d.FS.SyncDir(d.Path) }
