package record

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ControlType is what a control batch says.
type ControlType int16

// The types that brokers write and clients know; others exist (KIP-595) and are to be skipped.
const (
	Abort        ControlType = 0
	Commit       ControlType = 1
	LeaderChange ControlType = 2
)

// Marker is a control batch's only record.
//
//	key:   version 2 | type 2
//	value: version 2 | coordinator epoch 4     (of Abort and Commit)
type Marker struct {
	Type             ControlType
	CoordinatorEpoch int32  // of Abort and Commit; else -1
	Value            []byte // of the others: their message, version first
}

// ErrControl is a control batch that cannot be read.
var ErrControl = errors.New("malformed control batch")

// AddControl makes the builder's batch a control batch; nothing else may be added. For Abort and Commit the producer's id
// and epoch must be set, its sequence not (KIP-98).
func (b *Builder) AddControl(timestampMillis int64, c Marker) {
	b.Flags |= Control
	key := binary.BigEndian.AppendUint32(nil, uint32(uint16(c.Type))) // version 0
	value := c.Value
	if c.Type == Abort || c.Type == Commit {
		b.Flags |= Transactional
		value = binary.BigEndian.AppendUint32([]byte{0, 0}, uint32(c.CoordinatorEpoch))
	}
	b.Add(timestampMillis, key, value)
}

// ParseControl reads a control batch. Value points into it.
func ParseControl(b Batch) (Marker, error) {
	if len(b) < HeaderSize || !b.Attributes().Has(Control) || b.Attributes().Codec() != None {
		return Marker{}, fmt.Errorf("%w: not an uncompressed control batch", ErrControl)
	}
	var rec Record
	r := NewReader(b, b.Records())
	if !r.Next(&rec) {
		return Marker{}, fmt.Errorf("%w: no record", errors.Join(ErrControl, r.Err()))
	}
	if len(rec.Key) < 4 {
		return Marker{}, fmt.Errorf("%w: a key of %d bytes", ErrControl, len(rec.Key))
	}
	c := Marker{Type: ControlType(binary.BigEndian.Uint16(rec.Key[2:])), CoordinatorEpoch: -1, Value: rec.Value}
	if c.Type == Abort || c.Type == Commit {
		if len(rec.Value) < 6 {
			return Marker{}, fmt.Errorf("%w: a marker of %d bytes", ErrControl, len(rec.Value))
		}
		c.CoordinatorEpoch = int32(binary.BigEndian.Uint32(rec.Value[2:]))
		c.Value = nil
	}
	return c, nil
}
