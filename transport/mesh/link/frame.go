package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/troupe-broker/troupe/actors/message"
)

// Kind says what a frame is for. The numbers go over the wire.
type Kind uint8

// The kinds of frames.
const (
	Hello Kind = iota + 1 // I am here, and this is what I know of you
	Data                  // a piece of the lane's stream of letters; it may be empty
)

// Lanes is how many lanes a link has: message.Control and message.Bulk.
const Lanes = int(message.Bulk) + 1

// Mark tells one life of one end of a link from every other: the process, and how often its end was reset.
type Mark struct {
	Incarnation message.TopicID
	Session     uint64 // from 1; 0: unknown
}

// Frame is what one node sends another at once.
type Frame struct {
	Kind     Kind
	Lane     message.Lane
	Wanted   bool           // of a hello: please answer, I do not know yet that you hear me on this lane
	Cluster  string         // at most 255 bytes
	Node     message.NodeID // who sends
	From, To Mark           // the sender's, and the receiver's as the sender has heard it on this lane
	Sequence uint64         // of data on this lane and in this session, from 1
	Granted  [Lanes]uint64  // how many bytes of data the receiver may have sent, per lane, since the session began
	Payload  []byte         // of data a piece of the lane's letters, of a hello Self.Greeting
}

// Version is the only layout of frames that there is.
const Version = 2

const (
	magic = 0x54525031 // "TRP1"

	atVersion  = 4
	atLane     = 6
	atNode     = 8
	atFrom     = 12
	atTo       = 36
	atSequence = 60
	atGranted  = 68
	atCluster  = 84
	atSize     = 88
	atCRC      = 92
	headerSize = 96 // without the cluster's id
)

// HeaderMin and HeaderMax bound what a frame has beside its payload.
const (
	HeaderMin = headerSize
	HeaderMax = headerSize + 255
)

// Why a frame is not ours.
var (
	ErrShort   = errors.New("it is shorter than a frame's header says")
	ErrMagic   = errors.New("it is no frame of a mesh")
	ErrVersion = fmt.Errorf("its version is not %d", Version)
	ErrKind    = errors.New("its kind or lane is unknown")
	ErrCRC     = errors.New("its checksum is wrong")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendFrame appends the frame's bytes.
func AppendFrame(b []byte, f *Frame) []byte {
	start := len(b)
	b = appendHeader(b, f)
	seal(b[start:], f.Payload)
	return append(b, f.Payload...)
}

// appendHeader appends all of a frame but its payload; its size and checksum are filled in by seal.
func appendHeader(b []byte, f *Frame) []byte {
	flags := byte(0)
	if f.Wanted {
		flags = 1
	}
	b = binary.BigEndian.AppendUint32(b, magic)
	b = append(b, Version, byte(f.Kind), byte(f.Lane), flags)
	b = binary.BigEndian.AppendUint32(b, uint32(f.Node))
	b = appendMark(b, f.From)
	b = appendMark(b, f.To)
	b = binary.BigEndian.AppendUint64(b, f.Sequence)
	for _, granted := range f.Granted {
		b = binary.BigEndian.AppendUint64(b, granted)
	}
	b = append(b, byte(len(f.Cluster)), 0, 0, 0)
	b = append(b, 0, 0, 0, 0) // payload size
	b = append(b, 0, 0, 0, 0) // checksum
	return append(b, f.Cluster...)
}

func appendMark(b []byte, m Mark) []byte {
	return binary.BigEndian.AppendUint64(append(b, m.Incarnation[:]...), m.Session)
}

// seal fills in the payload's size and the checksum in a frame's header; the payload is in pieces.
func seal(header []byte, payload ...[]byte) {
	size := 0
	for _, piece := range payload {
		size += len(piece)
	}
	binary.BigEndian.PutUint32(header[atSize:], uint32(size))
	binary.BigEndian.PutUint32(header[atCRC:], checksum(header, payload...))
}

// summed is how much of a bulk frame's payload the checksum covers: the words, and what is small. The records behind them have
// checksums of their own, which are looked at where they are appended.
const summed = 4 << 10

// checksum is that of a frame: of its header without the checksum itself, and of its payload in pieces.
func checksum(header []byte, payload ...[]byte) uint32 {
	crc := crc32.Update(0, castagnoli, header[:atCRC])
	crc = crc32.Update(crc, castagnoli, header[headerSize:])
	left := math.MaxInt
	if message.Lane(header[atLane]) == message.Bulk {
		left = summed
	}
	for _, piece := range payload {
		n := min(left, len(piece))
		crc, left = crc32.Update(crc, castagnoli, piece[:n]), left-n
	}
	return crc
}

// FrameSize is the size of the frame that begins with these HeaderMin bytes, of which no more is known than that.
func FrameSize(b []byte) (int, error) {
	switch {
	case len(b) < HeaderMin:
		return 0, ErrShort
	case binary.BigEndian.Uint32(b) != magic:
		return 0, ErrMagic
	case b[atVersion] != Version:
		return 0, ErrVersion
	}
	return headerSize + int(b[atCluster]) + int(binary.BigEndian.Uint32(b[atSize:])), nil
}

// DecodeFrame reads a frame that is all of b. Its payload is a part of b.
func DecodeFrame(b []byte) (Frame, error) {
	size, err := FrameSize(b)
	if err != nil {
		return Frame{}, err
	}
	f := Frame{Kind: Kind(b[5]), Lane: message.Lane(b[atLane]), Wanted: b[7] == 1, Node: message.NodeID(binary.BigEndian.Uint32(b[atNode:]))}
	if f.Kind != Hello && f.Kind != Data || int(f.Lane) >= Lanes || b[7] > 1 || b[85]|b[86]|b[87] != 0 || f.Node < 0 {
		return Frame{}, ErrKind
	}
	f.From, f.To = mark(b[atFrom:]), mark(b[atTo:])
	f.Sequence = binary.BigEndian.Uint64(b[atSequence:])
	for i := range f.Granted {
		f.Granted[i] = binary.BigEndian.Uint64(b[atGranted+8*i:])
	}
	if len(b) != size {
		return Frame{}, ErrShort
	}
	header := b[:headerSize+int(b[atCluster])]
	f.Cluster, f.Payload = string(header[headerSize:]), b[len(header):]
	if binary.BigEndian.Uint32(b[atCRC:]) != checksum(header, f.Payload) {
		return Frame{}, ErrCRC
	}
	return f, nil
}

func mark(b []byte) (m Mark) {
	copy(m.Incarnation[:], b)
	m.Session = binary.BigEndian.Uint64(b[16:])
	return m
}
