package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/broker/image"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// describeLogDirs shows the data directory and what each replica holds in it (S110); v4 knows the disk's room, v5 cordoned
// directories.
var describeLogDirs = api{key: 35, min: 1, max: 5, shape: "(s [4])", start: decoded(onDescribeLogDirs)}

// room is what the disk says of itself.
type room struct{ total, free int64 }

func onDescribeLogDirs(c stage.Context, r *Request, q *kmsg.DescribeLogDirsRequest) {
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.IsCordoned, dir.Topics = dataDir(r), r.Image.Cordoned(r.Node()), []kmsg.DescribeLogDirsResponseDirTopic{}
	g := gathering(func(c stage.Context) {
		files := c.FS()
		r.Offload(c, time.Millisecond, func() any {
			total, free, err := files.Usage()
			if err != nil {
				return &room{-1, -1}
			}
			return &room{total, free}
		}, func(c stage.Context, result any) {
			dir.TotalBytes, dir.UsableBytes = result.(*room).total, result.(*room).free
			resp := kmsg.NewPtrDescribeLogDirsResponse()
			resp.Dirs = []kmsg.DescribeLogDirsResponseDir{dir}
			r.Answer(c, resp)
		})
	})
	for _, t := range describedTopics(r, q) {
		dir.Topics = append(dir.Topics, sizes(c, r, g, t.topic, t.indexes))
	}
	g.begin(c)
}

type topicReplicas struct {
	topic   *image.Topic
	indexes []int32
}

// describedTopics are the topics asked for that exist; all of them for null.
func describedTopics(r *Request, q *kmsg.DescribeLogDirsRequest) (all []topicReplicas) {
	for _, t := range q.Topics {
		if found := r.Image.Topic(t.Topic); found != nil {
			all = append(all, topicReplicas{found, sorted(t.Partitions)})
		}
	}
	if q.Topics == nil {
		for t := range r.Image.Topics() {
			indexes := make([]int32, len(t.Partitions))
			for i := range indexes {
				indexes[i] = int32(i)
			}
			all = append(all, topicReplicas{t, indexes})
		}
	}
	return all
}

// sizes asks this node's replicas how much they hold: their views say it, and one that has none yet opens its log first.
func sizes(c stage.Context, r *Request, g *gather, t *image.Topic, indexes []int32) kmsg.DescribeLogDirsResponseDirTopic {
	out := kmsg.DescribeLogDirsResponseDirTopic{Topic: t.Name, Partitions: make([]kmsg.DescribeLogDirsResponseDirTopicPartition, 0, len(indexes))}
	for _, index := range indexes {
		if index < 0 || int(index) >= len(t.Partitions) || !t.Partitions[index].IsReplica(r.Node()) {
			continue
		}
		out.Partitions = append(out.Partitions, kmsg.DescribeLogDirsResponseDirTopicPartition{Partition: index})
		a := &out.Partitions[len(out.Partitions)-1]
		g.left++
		r.view(c, t.At(index), func(c stage.Context, view message.View, _ message.Code) {
			if view != nil {
				a.Size = view.Bytes()
			}
			g.arrived(c)
		})
	}
	return out
}

// dataDir is the one data directory's path.
func dataDir(r *Request) string {
	if dirs := r.Layers().Text("log.dirs"); dirs != "" {
		return dirs
	}
	return r.Layers().Text("log.dir")
}
