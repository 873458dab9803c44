package kafka

import (
	"regexp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

const apiVersionsKey = 18

// apiVersions is every client's first request (KIP-35, KIP-511 from v3, KIP-584 features). Version 5 (KIP-1242) is not in
// the release that the table follows.
var apiVersions = api{key: apiVersionsKey, min: 0, max: 4, shape: "s@3+ s@3+", start: decoded(onApiVersions)}

// software is what a client may call itself and its version (S8).
var software = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

func onApiVersions(c stage.Context, r *Request, q *kmsg.ApiVersionsRequest) {
	resp := kmsg.NewPtrApiVersionsResponse()
	if r.Version >= 3 && !(software.MatchString(q.ClientSoftwareName) && software.MatchString(q.ClientSoftwareVersion)) {
		resp.ErrorCode = int16(message.InvalidRequest)
		r.Answer(c, resp)
		return
	}
	r.conn.software = q.ClientSoftwareName
	for row := range r.conn.versions.all {
		resp.ApiKeys = append(resp.ApiKeys, advertised(row))
	}
	resp.FinalizedFeaturesEpoch = r.Image.Index
	for _, f := range message.SupportedFeatures() {
		if r.Version < 4 && f.Min == 0 {
			continue // older clients cannot read a level of 0 (KAFKA-17492)
		}
		resp.SupportedFeatures = append(resp.SupportedFeatures, kmsg.ApiVersionsResponseSupportedFeature{Name: f.Name, MinVersion: f.Min, MaxVersion: f.Max})
	}
	for _, f := range r.Image.Features() {
		resp.FinalizedFeatures = append(resp.FinalizedFeatures, kmsg.ApiVersionsResponseFinalizedFeature{Name: f.Name, MaxVersionLevel: f.Level, MinVersionLevel: f.Level})
	}
	r.Answer(c, resp)
}

// advertised is a row as clients see it. Produce is shown from 0 on although it begins at 3, or old clients think that
// we know neither idempotence nor zstd (S3).
func advertised(row *api) kmsg.ApiVersionsResponseApiKey {
	k := kmsg.ApiVersionsResponseApiKey{ApiKey: row.key, MinVersion: row.min, MaxVersion: row.max}
	if row.key == produceKey {
		k.MinVersion = 0
	}
	return k
}

// answerOldest answers an ApiVersions request of a version that nobody knows, whose body is not looked at, in the form of
// version 0 with only its own range, so that the client can ask again (S1).
func answerOldest(c stage.Context, r *Request) {
	r.Version = 0
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = int16(message.UnsupportedVersion)
	resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{advertised(r.api)}
	r.Answer(c, resp)
}
