package mesh

import (
	"encoding/binary"
	"errors"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

// A letter's bytes:
//
//	kind (1), request (8), from, to, word (message.AppendWord; absent where the kind has none)
//	address = node (4), kind (1), number (8) | of a partition and its coordinator: topic (16), index (4)

var errLetter = errors.New("it is no letter")

// headRoom is what a letter takes without raw bytes, as a rule.
const headRoom = 160

// newLetter makes a letter's bytes. Record batches stay where they are; if they are lent, the link gives them back.
func newLetter(l *stage.Letter) (out link.Letter, err error) {
	b := make([]byte, link.Prefix, headRoom)
	b = append(b, byte(l.Kind))
	b = binary.BigEndian.AppendUint64(b, l.Request)
	out.Head = appendAddress(appendAddress(b, l.From), l.To)
	if l.Word == nil {
		return out, nil
	}
	if w, ok := l.Word.(*message.Pulled); ok {
		out.Lent = w.Lent
	}
	out.Head, out.Body, err = message.AppendHead(out.Head, l.Word)
	return out, err
}

func appendAddress(b []byte, a message.Address) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(a.Node))
	b = append(b, byte(a.Kind))
	if ofPartition(a.Kind) {
		b = append(b, a.Partition.Topic[:]...)
		return binary.BigEndian.AppendUint32(b, uint32(a.Partition.Index))
	}
	return binary.BigEndian.AppendUint64(b, a.Number)
}

// readLetter reads a letter, and its word if it has one. A letter whose word is unknown comes back with the error, so that who waits can
// be told; any other error says that nothing of it is to be believed.
func readLetter(b []byte) (l stage.Letter, known bool, err error) {
	if len(b) < 9 {
		return l, false, errLetter
	}
	l.Kind, l.Request = stage.LetterKind(b[0]), binary.BigEndian.Uint64(b[1:])
	b = b[9:]
	var ok bool
	if l.From, b, ok = readAddress(b); !ok {
		return l, false, errLetter
	}
	if l.To, b, ok = readAddress(b); !ok {
		return l, false, errLetter
	}
	switch l.Kind {
	case stage.LetterWord, stage.LetterAnswer:
		l.Word, err = message.DecodeWord(b)
		return l, true, err
	case stage.LetterDown, stage.LetterWatch, stage.LetterGone:
		if len(b) == 0 {
			return l, true, nil
		}
	}
	return l, false, errLetter
}

func readAddress(b []byte) (a message.Address, rest []byte, ok bool) {
	if len(b) < 5+8 {
		return a, nil, false
	}
	a.Node, a.Kind = message.NodeID(binary.BigEndian.Uint32(b)), message.Kind(b[4])
	if b = b[5:]; !ofPartition(a.Kind) {
		a.Number = binary.BigEndian.Uint64(b)
		return a, b[8:], true
	}
	if len(b) < 16+4 {
		return a, nil, false
	}
	a.Partition.Index = int32(binary.BigEndian.Uint32(b[copy(a.Partition.Topic[:], b):]))
	return a, b[20:], true
}

// ofPartition says that an address of this kind names a partition.
func ofPartition(k message.Kind) bool {
	return k == message.KindPartition || k == message.KindCoordinator
}
