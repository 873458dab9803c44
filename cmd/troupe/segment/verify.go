package segment

import (
	"errors"

	"github.com/troupe-broker/troupe/persistence/record"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// Report is what a partition's files hold.
type Report struct {
	Partition string   `json:"partition"`
	Segments  int      `json:"segments"`
	Batches   int64    `json:"batches"`
	Records   int64    `json:"records"`
	Bytes     int64    `json:"bytes"`
	First     int64    `json:"first_offset"`
	Next      int64    `json:"next_offset"`
	Tail      string   `json:"tail,omitempty"`   // what follows the last good batch of the last segment
	Damage    []string `json:"damage,omitempty"` // anywhere else
}

// Verify reads everything a partition has, each checksum and each record. More than plainMax bytes of one batch,
// decompressed, count as damage.
func Verify(files vfs.FS, p Partition, plainMax int) (Report, error) {
	r := Report{Partition: p.Name(), Segments: len(p.Segments), First: -1}
	var plain []byte
	for _, s := range p.Segments {
		if r.First < 0 {
			r.First, r.Next = s.Base, s.Base
		}
		r.Bytes += s.Size
		err := s.Walk(files, func(at int64, b record.Batch) error {
			r.Batches++
			r.Records += int64(b.Count())
			r.Next = b.NextOffset()
			var err error
			if plain, err = readable(b, plain, plainMax); err != nil {
				r.Damage = append(r.Damage, s.Path+": "+(&Flaw{at, err.Error()}).Error())
			}
			return nil
		})
		var flaw *Flaw
		switch {
		case err == nil:
		case !errors.As(err, &flaw):
			return r, err
		case s.Last:
			r.Tail = s.Path + ": " + flaw.Error()
		default:
			r.Damage = append(r.Damage, s.Path+": "+flaw.Error())
		}
	}
	return r, nil
}

// readable decodes every record of a batch.
func readable(b record.Batch, buf []byte, most int) ([]byte, error) {
	plain, err := b.Plain(buf, most)
	if err != nil {
		return buf, err
	}
	var rec record.Record
	reader := record.NewReader(b, plain)
	for reader.Next(&rec) {
	}
	if b.Attributes().Codec() == record.None {
		return buf, reader.Err() // plain is the batch itself
	}
	return plain, reader.Err()
}
