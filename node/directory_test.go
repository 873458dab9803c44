package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
)

func TestDirectoryIsLockedAndKeepsItsIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	files, lock, err := OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenDirectory(path); !errors.Is(err, ErrInUse) {
		t.Errorf("a second lock: %v", err)
	}
	for range 2 {
		if _, err := Claim(files, 1, message.TopicID{1}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Claim(files, 2, message.TopicID{1}); err == nil || !strings.Contains(err.Error(), "node.id=1") {
		t.Errorf("another node: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, lock, err = OpenDirectory(path); err != nil {
		t.Errorf("after unlocking: %v", err)
	}
	lock.Close()
}

func TestDirectoryOfAnotherFormatIsRefused(t *testing.T) {
	for content, want := range map[string]string{
		"format=2\nnode.id=1\n": "newer Troupe",
		"format=x\n":            "damaged",
		"format=1\n":            "node.id=NUMBER",
	} {
		path := t.TempDir()
		if err := os.WriteFile(filepath.Join(path, formatFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		files, lock, err := OpenDirectory(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Claim(files, 1, message.TopicID{1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
		lock.Close()
	}
}

func TestDirectoryWithSomethingElseIsRefused(t *testing.T) {
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	files, lock, err := OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := Claim(files, 1, message.TopicID{1}); err == nil || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("%v", err)
	}
}

func FuzzParseFormat(f *testing.F) {
	f.Add("format=1\nnode.id=1\n")
	f.Fuzz(func(t *testing.T, content string) { _, _ = parseFormat(content) })
}
