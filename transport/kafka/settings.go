package kafka

import (
	"github.com/troupe-broker/troupe/actors/message/setting"
	"github.com/troupe-broker/troupe/persistence/record"
)

// doorSettings are the broker's settings that requests on the hot path look at, parsed once for each image.
type doorSettings struct {
	fetchBytesMax int
	autoCreate    bool
	nearest       bool // consumers are sent to the replica in their rack
}

func doorSettingsOf(l setting.Layers) doorSettings {
	return doorSettings{fetchBytesMax: int(l.Number("fetch.max.bytes")), autoCreate: l.Bool("auto.create.topics.enable"),
		nearest: l.ReadsNearby()}
}

// demandOf is what a topic's settings ask of a batch.
func demandOf(t setting.Topic) demand {
	d := demand{keys: t.CleanupCompact, recompress: true}
	switch t.Compression {
	case "uncompressed":
		d.codec = record.None
	case "gzip":
		d.codec, d.level = record.Gzip, t.GzipLevel
	case "snappy":
		d.codec = record.Snappy
	case "lz4":
		d.codec, d.level = record.Lz4, t.Lz4Level
	case "zstd":
		d.codec, d.level = record.Zstd, t.ZstdLevel
	default:
		d.recompress = false
	}
	return d
}
