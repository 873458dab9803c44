package kafka

import (
	"encoding/binary"
	"errors"
)

// header is what every request begins with: versions 1 and 2 of Kafka's request header.
type header struct {
	key, version int16
	correlation  int32
	client       []byte // in the frame; nil: null
	body         []byte
}

var errShortHeader = errors.New("the request's header is cut short")

// readHeader reads what comes before the body, but for the tagged fields of version 2.
func readHeader(frame []byte) (h header, err error) {
	if len(frame) < 10 {
		return h, errShortHeader
	}
	h.key = int16(binary.BigEndian.Uint16(frame))
	h.version = int16(binary.BigEndian.Uint16(frame[2:]))
	h.correlation = int32(binary.BigEndian.Uint32(frame[4:]))
	n := int(int16(binary.BigEndian.Uint16(frame[8:])))
	h.body = frame[10:]
	if n < 0 {
		return h, nil
	}
	if n > len(h.body) {
		return h, errShortHeader
	}
	h.client, h.body = h.body[:n:n], h.body[n:]
	return h, nil
}

// skipTags steps over the header's tagged fields, which flexible versions have.
func (h *header) skipTags() error {
	w := walker{rest: h.body, flexible: true}
	if !w.tags() {
		return errShortHeader
	}
	h.body = w.rest
	return nil
}
