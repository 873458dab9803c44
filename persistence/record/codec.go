package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// What can go wrong with compressed records, for errors.Is.
var (
	// ErrCodec is a number that no codec has.
	ErrCodec = errors.New("unknown compression codec")
	// ErrTooLarge: decompressed, the records are more than is allowed.
	ErrTooLarge = errors.New("the records are too large when decompressed")
	// ErrCompressed: the codec cannot read the bytes.
	ErrCompressed = errors.New("the compressed records cannot be read")
)

// DefaultLevel is the codec's own default level.
const DefaultLevel = 0

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// String is the codec's name as in compression.type.
func (c Codec) String() string {
	if !c.Known() {
		return fmt.Sprintf("codec %d", uint8(c))
	}
	return codecNames[c]
}

// Known says that the protocol defines the codec.
func (c Codec) Known() bool { return c <= Zstd }

// Plain are the records of b decompressed: b's own bytes if they are not compressed, else at most max bytes in buf's
// memory, or in new memory if that is too small.
func (b Batch) Plain(buf []byte, max int) ([]byte, error) {
	if b.Attributes().Codec() == None {
		return b.Records(), nil
	}
	return Decompress(b.Attributes().Codec(), buf, b.Records(), max)
}

// Decompress decompresses src into dst's memory from its start, or into new memory if that is too small. No more than
// max bytes are made of src, whatever it promises: ErrTooLarge. Other errors: ErrCompressed, ErrCodec.
//
// Snappy is read raw and in Java's (xerial) framing. LZ4 frames with the wrong header checksum of Kafka's formats 0 and 1
// (KAFKA-3160) are refused, as in format 2 they must be.
func Decompress(c Codec, dst, src []byte, max int) ([]byte, error) {
	var err error
	switch c {
	case None:
		if len(src) > max {
			return nil, ErrTooLarge
		}
		return append(dst[:0], src...), nil
	case Gzip:
		dst, err = gunzip(dst, src, max)
	case Snappy:
		dst, err = unsnappy(dst, src, max)
	case Lz4:
		dst, err = unlz4(dst, src, max)
	case Zstd:
		dst, err = unzstd(dst, src, max)
	default:
		return nil, fmt.Errorf("%w: %d", ErrCodec, c)
	}
	if err != nil && !errors.Is(err, ErrTooLarge) {
		err = fmt.Errorf("%w: %s: %w", ErrCompressed, c, err)
	}
	if err != nil {
		return nil, err
	}
	return dst, nil
}

// Compress compresses src behind what is in dst. Level is the codec's, as in Kafka's compression.*.level; one that the codec
// does not have is its default or its nearest, and snappy has none. Snappy gets Java's framing, without which Java clients cannot read it.
func Compress(c Codec, level int, dst, src []byte) ([]byte, error) {
	switch c {
	case None:
		return append(dst, src...), nil
	case Gzip:
		return zip(level, dst, src)
	case Snappy:
		return snappyXerial(dst, src), nil
	case Lz4:
		return lz4Frame(level, dst, src)
	case Zstd:
		return zstdAll(level, dst, src)
	}
	return nil, fmt.Errorf("%w: %d", ErrCodec, c)
}

// The pools fill on first use and the garbage collector empties them: an idle broker holds no codec's memory.
var (
	gunzips, unlz4s, unzstds sync.Pool
	zips                     [10]sync.Pool // by level: 0 the default, 1 to 9
	lz4s                     [10]sync.Pool // by level: 0 fast, 1 to 9 high
	zstds                    [5]sync.Pool  // by zstd.EncoderLevel
)

func gunzip(dst, src []byte, max int) ([]byte, error) {
	z, _ := gunzips.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	defer gunzips.Put(z)
	if err := z.Reset(bytes.NewReader(src)); err != nil {
		return nil, err
	}
	return readAll(dst, z, len(src), max)
}

func unlz4(dst, src []byte, max int) ([]byte, error) {
	z, _ := unlz4s.Get().(*lz4.Reader)
	if z == nil {
		z = lz4.NewReader(nil)
	}
	z.Reset(bytes.NewReader(src))
	dst, err := readAll(dst, z, len(src), max)
	if err == nil { // one that failed may be in any state
		z.Reset(nil)
		unlz4s.Put(z)
	}
	return dst, err
}

// readAll reads all of r, but not more than max bytes, into dst's memory.
func readAll(dst []byte, r io.Reader, hint, max int) ([]byte, error) {
	dst = dst[:0]
	if cap(dst) == 0 {
		dst = make([]byte, 0, min(4*hint+512, max+1))
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if len(dst) > max {
			return nil, ErrTooLarge
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// unzstd decodes in one piece, so that the decoder needs no window of its own. Java does not write the decompressed
// size, so the room is guessed and grows fourfold.
func unzstd(dst, src []byte, max int) ([]byte, error) {
	z, _ := unzstds.Get().(*zstd.Decoder)
	if z == nil {
		var err error
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, err
		}
	}
	defer unzstds.Put(z)
	room := zstdRoom(src, cap(dst))
	for {
		room = min(room, max)
		if cap(dst) < room {
			dst = make([]byte, 0, room)
		}
		out, err := z.DecodeAll(src, dst[:0:room])
		switch {
		case !errors.Is(err, zstd.ErrDecoderSizeExceeded):
			return out, err
		case room == max:
			return nil, ErrTooLarge
		}
		room *= 4
	}
}

// zstdRoom is how much to try first: the size that the frame gives, if it does, else a guess.
func zstdRoom(src []byte, have int) int {
	var h zstd.Header
	if h.Decode(src) == nil && h.HasFCS && h.FrameContentSize < 1<<31 {
		return max(int(h.FrameContentSize), 1)
	}
	return max(have, 8*len(src), 4096)
}

func zip(level int, dst, src []byte) ([]byte, error) {
	n := level
	if level < gzip.BestSpeed || level > gzip.BestCompression {
		n, level = 0, gzip.DefaultCompression
	}
	out := bytes.NewBuffer(dst)
	z, _ := zips[n].Get().(*gzip.Writer)
	if z == nil {
		var err error
		if z, err = gzip.NewWriterLevel(out, level); err != nil {
			return nil, err
		}
	}
	z.Reset(out)
	err := writeAll(z, src)
	z.Reset(nil) // do not hold on to the caller's memory
	zips[n].Put(z)
	return out.Bytes(), err
}

func writeAll(w io.WriteCloser, src []byte) error {
	if _, err := w.Write(src); err != nil {
		return err
	}
	return w.Close()
}

// lz4Frame writes blocks of 64 KiB like Java. Kafka's default level, 9, is the fast compressor and all others the high one.
func lz4Frame(level int, dst, src []byte) ([]byte, error) {
	n := min(level, 9)
	if level < 1 || level == 9 {
		n = 0
	}
	out := bytes.NewBuffer(dst)
	z, _ := lz4s[n].Get().(*lz4.Writer)
	if z == nil {
		z = lz4.NewWriter(nil)
		err := z.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.CompressionLevelOption(lz4Level(n)))
		if err != nil {
			return nil, err
		}
	}
	z.Reset(out)
	err := writeAll(z, src)
	z.Reset(nil)
	lz4s[n].Put(z)
	return out.Bytes(), err
}

func lz4Level(n int) lz4.CompressionLevel {
	if n == 0 {
		return lz4.Fast
	}
	return lz4.CompressionLevel(1 << (8 + n)) // lz4.Level1 is 1<<9
}

func zstdAll(level int, dst, src []byte) ([]byte, error) {
	if level == DefaultLevel {
		level = 3
	}
	l := zstd.EncoderLevelFromZstd(level)
	z, _ := zstds[l].Get().(*zstd.Encoder)
	if z == nil {
		var err error
		// A window of 1 MiB, about a batch, keeps an encoder's memory small; the batch has a checksum already.
		z, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(l), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
		if err != nil {
			return nil, err
		}
	}
	defer zstds[l].Put(z)
	return z.EncodeAll(src, dst), nil
}
