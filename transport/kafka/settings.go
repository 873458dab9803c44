package kafka

import "github.com/troupe-broker/troupe/actors/message/setting"

// doorSettings are the broker's settings that requests on the hot path look at, parsed once for each image.
type doorSettings struct {
	fetchBytesMax int
	autoCreate    bool
	compression   string // of topics without their own
	compact       bool   // of topics without their own
}

func doorSettingsOf(l setting.Layers) doorSettings {
	topic := setting.TopicFrom(nil, l)
	return doorSettings{
		fetchBytesMax: int(l.Number("fetch.max.bytes")),
		autoCreate:    l.Bool("auto.create.topics.enable"),
		compression:   topic.Compression,
		compact:       topic.CleanupCompact,
	}
}
