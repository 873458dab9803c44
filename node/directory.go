package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// formatVersion is the layout of the data directory that this program writes, and the newest that it reads.
const formatVersion = 1

const (
	formatFile = "format"
	lockFile   = "lock"
	secretFile = "cluster.secret"
)

// Format is what a data directory says of itself: whose it is, written when the directory is first used, and of which cluster,
// written when that is known.
type Format struct {
	Version int
	Node    message.NodeID
	// Cluster is the cluster's id; empty: not known yet, or the directory is older than this line.
	Cluster string
	// Founders are the nodes that found the cluster, or some of those that the node joined; nil: it is alone.
	Founders []message.NodeID
	// Directory is this directory's own id (KIP-853): who votes with it has what is in here. Zero: it is older than this line.
	Directory message.TopicID
	// Directories are those of the founders, one for each, in a directory of one of them; nil: the node joined, or the directory is
	// older than this line.
	Directories []message.TopicID
	// Promised: the cluster has not begun here, the other founders have yet to promise the same.
	Promised bool
}

// ErrInUse says that another process works on the data directory.
var ErrInUse = errors.New("another process is using it: stop that one, or give this one its own --data")

// Lock keeps every other process out of the data directory until it is closed.
func Lock(files vfs.FS) (io.Closer, error) {
	lock, err := files.Lock(lockFile)
	if errors.Is(err, vfs.ErrLocked) {
		return nil, ErrInUse
	}
	return lock, err
}

// OpenDirectory makes the data directory if need be, and locks it.
func OpenDirectory(path string) (vfs.FS, io.Closer, error) {
	files, err := directory(path)
	if err != nil {
		return nil, nil, unusable(path, err)
	}
	lock, err := Lock(files)
	if err != nil {
		return nil, nil, unusable(path, err)
	}
	return files, lock, nil
}

func directory(path string) (vfs.FS, error) {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, err
	}
	return vfs.OS(path)
}

// unusable says what to do about a data directory that cannot be used.
func unusable(path string, err error) error {
	switch {
	case errors.Is(err, vfs.ErrReadOnly), errors.Is(err, syscall.EROFS):
		err = errors.New("its disk is read-only: mount it for writing, or use another --data")
	case errors.Is(err, vfs.ErrFull), errors.Is(err, syscall.ENOSPC):
		err = errors.New("its disk is full: make room there, or use another --data")
	case errors.Is(err, fs.ErrPermission):
		err = errors.New("this user may not write there: give the directory to the user, or use another --data")
	case errors.Is(err, syscall.ENOTDIR):
		err = errors.New("it is, or lies in, a file that is no directory: use another --data")
	}
	return fmt.Errorf("the data directory %s: %w", path, err)
}

// roomMin is what has to be free on the disk at a start: the metadata log has to take the broker's registration, or nobody
// serves. A disk that fills up later only refuses what is written.
const roomMin = 1 << 20

// refuseFull refuses a disk without room; one that cannot say how much it has is tried.
func refuseFull(files vfs.FS) error {
	if _, free, err := files.Usage(); err == nil && free < roomMin {
		return fmt.Errorf("its disk has %d KiB left, and a start needs %d: make room there, or use another --data", free>>10, roomMin>>10)
	}
	return nil
}

// Claim takes a directory for a node: it reads the directory's format, or gives a new directory one, with this id.
// It refuses what a newer program wrote, what no Troupe wrote, and a directory of another node.
func Claim(files vfs.FS, node message.NodeID, id message.TopicID) (Format, error) {
	return claim(files, node, "", id)
}

// claim takes a directory. cluster is the id of the cluster that a new one founds alone; empty: that will be known later.
func claim(files vfs.FS, node message.NodeID, cluster string, id message.TopicID) (Format, error) {
	f, err := ReadFormat(files)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := refuseStrangers(files); err != nil {
			return Format{}, err
		}
		f = Format{Version: formatVersion, Node: node, Directory: id}
		if cluster != "" {
			f.promise(&promise{cluster, []message.NodeID{node}, []message.TopicID{id}})
		}
		return f, f.write(files)
	case err != nil:
		return Format{}, err
	case f.Node != node:
		return Format{}, fmt.Errorf("it belongs to node %d, and this is node %d: set node.id=%d, or use another --data", f.Node, node, f.Node)
	}
	return f, nil
}

// refuseStrangers refuses a directory that has something in it which is not ours.
func refuseStrangers(files vfs.FS) error {
	names, err := files.List(".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != lockFile && name != "lost+found" && name != formatFile+".new" && name != secretFile {
			return fmt.Errorf("it has no file %q and is not empty (%s): use an empty directory, or the one that was meant", formatFile, name)
		}
	}
	return nil
}

// ReadFormat reads what a data directory says of itself; fs.ErrNotExist if it was never used.
func ReadFormat(files vfs.FS) (Format, error) {
	content, err := readAll(files, formatFile)
	if err != nil {
		return Format{}, err
	}
	return parseFormat(string(content))
}

func parseFormat(content string) (Format, error) {
	values := map[string]string{}
	for line := range strings.Lines(content) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = value
		}
	}
	version, err := strconv.Atoi(values["format"])
	if err != nil {
		return Format{}, fmt.Errorf("its file %q is damaged: it should say format=%d", formatFile, formatVersion)
	}
	if version > formatVersion {
		return Format{}, fmt.Errorf("it has format %d, written by a newer Troupe, and this one knows formats up to %d: use the newer program", version, formatVersion)
	}
	id, err := strconv.ParseInt(values["node.id"], 10, 32)
	if err != nil {
		return Format{}, fmt.Errorf("its file %q is damaged: it should say node.id=NUMBER", formatFile)
	}
	f := Format{Version: version, Node: message.NodeID(id), Cluster: values["cluster.id"], Promised: values["cluster.founded"] == "false"}
	for _, e := range setting.Elements(values["cluster.founders"]) {
		n, err := strconv.ParseInt(e, 10, 32)
		if err != nil || n < 0 {
			return Format{}, fmt.Errorf("its file %q is damaged: it should say cluster.founders=NUMBER,NUMBER", formatFile)
		}
		f.Founders = append(f.Founders, message.NodeID(n))
	}
	return f, f.parseDirectories(values)
}

func (f *Format) parseDirectories(values map[string]string) (err error) {
	if id := values["directory.id"]; id != "" {
		f.Directory, err = parseID(id)
	}
	for _, e := range setting.Elements(values["cluster.directories"]) {
		id, wrong := parseID(e)
		f.Directories, err = append(f.Directories, id), errors.Join(err, wrong)
	}
	if err != nil || f.Directories != nil && len(f.Directories) != len(f.Founders) {
		return fmt.Errorf("its file %q is damaged: it should say directory.id=ID and cluster.directories=ID,ID with 22 letters each", formatFile)
	}
	return nil
}

// promise notes what the node is going to found.
func (f *Format) promise(p *promise) {
	f.Cluster, f.Founders, f.Directories, f.Promised = p.Cluster, p.Voters, p.Directories, true
}

// write puts the format in place whole: a crash leaves either no file or all of it.
func (f Format) write(files vfs.FS) error {
	file, err := files.Create(formatFile + ".new")
	if err != nil {
		return err
	}
	_, err = file.WriteAt([]byte(f.text()), 0)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := files.Rename(formatFile+".new", formatFile); err != nil {
		return err
	}
	return files.SyncDir(".")
}

func (f Format) text() string {
	text := fmt.Sprintf("# Troupe's data directory. Not to be edited.\nformat=%d\nnode.id=%d\n", f.Version, f.Node)
	if !f.Directory.IsZero() {
		text += "directory.id=" + idText(f.Directory) + "\n"
	}
	if f.Cluster != "" {
		text += "cluster.id=" + f.Cluster + "\n"
	}
	if f.Founders != nil {
		text += fmt.Sprintf("cluster.founders=%s\n", strings.ReplaceAll(strings.Trim(fmt.Sprint(f.Founders), "[]"), " ", ","))
	}
	if f.Directories != nil {
		texts := make([]string, len(f.Directories))
		for i, d := range f.Directories {
			texts[i] = idText(d)
		}
		text += "cluster.directories=" + strings.Join(texts, ",") + "\n"
	}
	if f.Promised {
		text += "cluster.founded=false\n"
	}
	return text
}

func readAll(files vfs.FS, path string) ([]byte, error) {
	file, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	content := make([]byte, size)
	if _, err := file.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return content, nil
}
