package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// updateFeatures sets feature levels (KIP-584); v1 names the kind of downgrade, v2 has no result for each feature. All are set or none,
// so that one error stands for all of them, in every version (KIP-1022).
var updateFeatures = api{key: 57, min: 0, max: 2, shape: "4 (s 2 1@0 1@1+) 1@1+", start: decoded(onUpdateFeatures)}

const allForOne = "The update failed for all features since the following feature had an error: "

func onUpdateFeatures(c stage.Context, r *Request, q *kmsg.UpdateFeaturesRequest) {
	ask := &message.UpdateFeatures{ValidateOnly: q.ValidateOnly}
	for _, u := range q.FeatureUpdates {
		kind := u.UpgradeType
		if r.Version == 0 {
			kind = 1
			if u.AllowDowngrade {
				kind = 2
			}
		}
		ask.Updates = append(ask.Updates, message.FeatureUpdate{Name: u.Feature, Level: u.MaxVersionLevel, Type: kind})
	}
	askController(c, r, ask, patience(q.TimeoutMillis), func(c stage.Context, results *message.Results, p message.Problem) {
		resp := kmsg.NewPtrUpdateFeaturesResponse()
		resp.ErrorCode, resp.ErrorMessage = int16(p.Code), note(p.Message)
		for _, of := range problems(results, p, len(ask.Updates)) {
			if of.Code != message.OK && p.Code == message.OK && resp.ErrorCode == 0 {
				resp.ErrorCode, resp.ErrorMessage = int16(of.Code), note(allForOne+of.Message)
			}
		}
		for i := 0; resp.ErrorCode == 0 && i < len(ask.Updates); i++ {
			resp.Results = append(resp.Results, kmsg.UpdateFeaturesResponseResult{Feature: ask.Updates[i].Name})
		}
		r.Answer(c, resp)
	})
}
