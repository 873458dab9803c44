package stage

import (
	"math/rand/v2"

	"github.com/troupe-broker/troupe/actors/message"
)

// mix folds x into h; every bit of both changes about half of the result's (splitmix64's finisher).
func mix(h, x uint64) uint64 {
	h = (h ^ x) * 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// mark is an address as a number: the same in every process, nearly always different for different addresses.
func mark(a message.Address) uint64 {
	h := mix(uint64(uint32(a.Node))<<8|uint64(a.Kind), a.Number)
	if a.Kind != message.KindPartition {
		return h
	}
	t := &a.Partition.Topic
	h = mix(h, word(t[:8]))
	return mix(h, word(t[8:])^uint64(uint32(a.Partition.Index)))
}

func word(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// Stream is a random stream of its own: it depends on the seed and the name and on nothing that other streams draw.
func Stream(seed uint64, name string) *rand.Rand {
	h := seed
	for i := range len(name) {
		h = mix(h, uint64(name[i])+1)
	}
	return rand.New(rand.NewPCG(seed, h))
}
