package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message/setting"
)

// cordon says whether a node gets new replicas (KIP-1066). Any node that is alive takes the word: the one that it is about may be down.
func cordon(ctx context.Context, client *kgo.Client, p *picture, id int32, on bool) error {
	m, through := p.find(id), int32(-1)
	for _, n := range p.Nodes {
		if n.State == alive && (through < 0 || n.Node != id) {
			through = n.Node
		}
	}
	if m.State == gone || m.Cordoned == on && m.State == alive {
		return nil
	}
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(id))
	change := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	change.Name, change.Op, change.Value = setting.CordonedDirs, kmsg.IncrementalAlterConfigOpSet, kmsg.StringPtr("*")
	if !on {
		change.Op, change.Value = kmsg.IncrementalAlterConfigOpDelete, nil
	}
	r.Configs = append(r.Configs, change)
	q.Resources = append(q.Resources, r)
	resp, err := client.Broker(int(through)).RetriableRequest(ctx, q)
	if err != nil {
		return fmt.Errorf("say whether node %d gets new replicas: %w", id, err)
	}
	for _, r := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		if err := told(kerr.ErrorForCode(r.ErrorCode), textOf(r.ErrorMessage)); err != nil {
			return fmt.Errorf("say whether node %d gets new replicas: %w", id, err)
		}
	}
	return nil
}

// cordonPatience is how long the nodes may take to say whether they are cordoned. One that has just died is no reason to wait.
const cordonPatience = time.Second

// askCordons asks every node that is alive whether it gets new replicas. Of one that does not answer it is not known: the controller
// would refuse to place anything there.
func (p *picture) askCordons(ctx context.Context, client *kgo.Client) {
	q := kmsg.NewPtrDescribeConfigsRequest()
	for _, m := range p.Nodes {
		if m.State == alive {
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(m.Node)), []string{setting.CordonedDirs}
			q.Resources = append(q.Resources, r)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, cordonPatience)
	defer cancel()
	for _, shard := range client.RequestSharded(ctx, q) {
		if shard.Err != nil {
			continue
		}
		for _, r := range shard.Resp.(*kmsg.DescribeConfigsResponse).Resources {
			id, _ := strconv.ParseInt(r.ResourceName, 10, 32)
			for _, c := range r.Configs {
				if m := p.find(int32(id)); m != nil && c.Source == kmsg.ConfigSourceDynamicBrokerConfig && textOf(c.Value) != "" {
					m.Cordoned = true
				}
			}
		}
	}
}

// askPromises asks how many replicas of each topic have to be in sync for a write.
func (p *picture) askPromises(ctx context.Context, client *kgo.Client) error {
	var topics []string
	for i := range p.all {
		if t := p.all[i].Topic; len(topics) == 0 || topics[len(topics)-1] != t {
			topics = append(topics, t)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	configs, err := kadm.NewClient(client).DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return fmt.Errorf("ask for the topics' min.insync.replicas: %w", err)
	}
	p.promises = map[string]int{}
	for _, r := range configs {
		if r.Err != nil {
			return fmt.Errorf("ask for the min.insync.replicas of %s: %w", r.Name, told(r.Err, r.ErrMessage))
		}
		for _, c := range r.Configs {
			if c.Key == "min.insync.replicas" {
				p.promises[r.Name], _ = strconv.Atoi(c.MaybeValue())
			}
		}
	}
	return nil
}
