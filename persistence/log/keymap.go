package log

import (
	"crypto/sha256"
	"encoding/binary"
)

// keymap knows of every key that a pass of compaction has read the last offset, in memory of a fixed size: 24 bytes for a key, as in
// Kafka, whatever the key's length is.
//
// It keeps 16 bytes of a SHA-256 over a secret and the key. Two keys that share a place in the table are told apart by these. Two keys
// with the same 16 bytes would be taken for one, and a record would be lost: by chance that happens once in 2^64 passes over 2^32
// keys, and nobody can bring it about, as MD5 would let him, who does not know the secret, which every pass draws anew.
type keymap struct {
	secret []byte
	slots  []keySlot
	used   int
	most   int    // of the slots may be used
	text   []byte // what is hashed
}

// keySlot is a key's hash and its last offset plus 1; a slot of zeros is free.
type keySlot struct {
	hash [16]byte
	last int64
}

const slotBytes = 24

// newKeymap makes room for so many keys, within so many bytes of which a share may be used.
func newKeymap(secret [16]byte, keys, bytes int64, load float64) *keymap {
	if load <= 0 || load > 1 {
		load = 0.9
	}
	slots := max(2, min(bytes/slotBytes, int64(float64(keys)/load)+2))
	return &keymap{secret: secret[:], slots: make([]keySlot, slots), most: max(1, min(int(float64(slots)*load), int(slots)-1))}
}

// room says that so many keys more can be taken.
func (k *keymap) room(keys int) bool { return k.used+keys <= k.most }

// put notes where a key is, which must be behind where it was.
func (k *keymap) put(key []byte, offset int64) {
	s := k.slot(key)
	if s.last == 0 {
		k.used++
	}
	s.last = offset + 1
}

// last is the last offset of a key; -1 if it is not known.
func (k *keymap) last(key []byte) int64 { return k.slot(key).last - 1 }

// slot is a key's, or the free one where it belongs.
func (k *keymap) slot(key []byte) *keySlot {
	k.text = append(append(k.text[:0], k.secret...), key...)
	sum := sha256.Sum256(k.text)
	hash := [16]byte(sum[:16])
	for at := binary.BigEndian.Uint64(sum[16:]) % uint64(len(k.slots)); ; at++ {
		if at == uint64(len(k.slots)) {
			at = 0
		}
		if s := &k.slots[at]; s.last == 0 || s.hash == hash {
			s.hash = hash
			return s
		}
	}
}
