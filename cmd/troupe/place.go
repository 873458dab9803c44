package main

import (
	"context"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// place is where to begin or end in every partition.
type place struct {
	kind placeKind
	n    int64 // offset, distance from the end, or milliseconds since 1970
}

type placeKind uint8

const (
	nowhere placeKind = iota
	atStart
	atEnd
	atOffset
	beforeEnd
	atTime
)

// placeOf reads what --from and --to take.
func placeOf(flag, text string) (place, error) {
	switch text {
	case "":
		return place{}, nil
	case "start":
		return place{kind: atStart}, nil
	case "end":
		return place{kind: atEnd}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n < 0 {
			return place{beforeEnd, -n}, nil
		}
		return place{atOffset, n}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return place{atTime, t.UnixMilli()}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return place{atTime, time.Now().Add(-ago).UnixMilli()}, nil
	}
	return place{}, usagef("%s %s: write start, end, an offset, -N, a time like 2026-11-20T12:00:00Z, or how long ago, like 1h30m", flag, text)
}

// bounds are where partitions start and end now, and the offsets at two times.
type bounds struct {
	topic      string
	start, end kadm.ListedOffsets
	atTime     map[int64]kadm.ListedOffsets
}

// settle sets the beginning and end of every span.
func settle(ctx context.Context, a *kadm.Client, topic string, from, to place, spans map[int32]*span) error {
	b, err := boundsOf(ctx, a, topic, from, to)
	if err != nil {
		return err
	}
	for p, s := range spans {
		s.next = b.offset(p, from)
		if to.kind != nowhere {
			s.end = b.offset(p, to)
		}
	}
	return nil
}

func boundsOf(ctx context.Context, a *kadm.Client, topic string, places ...place) (*bounds, error) {
	b := &bounds{topic: topic, atTime: map[int64]kadm.ListedOffsets{}}
	var err error
	if b.start, err = a.ListStartOffsets(ctx, topic); err == nil {
		b.end, err = a.ListEndOffsets(ctx, topic)
	}
	for _, p := range places {
		if p.kind == atTime && err == nil {
			b.atTime[p.n], err = a.ListOffsetsAfterMilli(ctx, p.n, topic)
		}
	}
	if err != nil {
		return nil, err
	}
	return b, firstOf(b.start.Error(), b.end.Error())
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// offset is a place in a partition, within what it holds.
func (b *bounds) offset(partition int32, p place) int64 {
	first, last := b.in(b.start, partition), b.in(b.end, partition)
	switch p.kind {
	case atStart:
		return first
	case atOffset:
		return max(first, p.n)
	case beforeEnd:
		return max(first, last-p.n)
	case atTime:
		if o := b.in(b.atTime[p.n], partition); o >= 0 {
			return o
		}
	}
	return last
}

func (b *bounds) in(listed kadm.ListedOffsets, partition int32) int64 {
	o, ok := listed.Lookup(b.topic, partition)
	if !ok {
		return -1
	}
	return o.Offset
}
