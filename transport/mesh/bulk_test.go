package mesh

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

func TestAStreamWithoutTheWordIsClosed(t *testing.T) {
	a, b := pair(t)
	right := b.inlets.door.greeting()[:len(door{}.word)]
	for _, first := range []string{knock + string(make([]byte, len(right))), "TRPB\x02" + string(right), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"} {
		before := b.Counts().Refused
		conn := knockAt(t, b, first)
		if n, err := io.Copy(io.Discard, conn); n != 0 || err != nil && !strings.Contains(err.Error(), "reset by peer") {
			t.Errorf("%q is answered with %d bytes, %v", first, n, err)
		}
		eventually(t, "it is counted", func() bool { return b.Counts().Refused == before+1 })
	}
	a.Send(pulled(a, b, 1, 100))
	eventually(t, "and the link goes on", func() bool { return len(b.letters()) == 1 })
	if b.Counts().Resets != 0 {
		t.Error("it was reset")
	}
}

func TestAStreamThatBringsWhatIsNoFrameIsClosed(t *testing.T) {
	a, b := pair(t)
	hello := link.Frame{Kind: link.Hello, Lane: message.Bulk, Cluster: "pair", Node: 5, From: link.Mark{Incarnation: message.TopicID{5}, Session: 1}}
	other, self, lane, large := hello, hello, hello, hello
	other.Cluster, self.Node, lane.Lane = "another", 2, message.Control
	large.Payload = make([]byte, b.o.Limits.FrameBytes[message.Bulk]+defaults.FrameBytes[message.Bulk]+link.HeaderMax)
	damaged := link.AppendFrame(nil, &hello)
	damaged[70]++
	for i, frame := range [][]byte{make([]byte, link.HeaderMin), damaged, link.AppendFrame(nil, &other), link.AppendFrame(nil, &self),
		link.AppendFrame(nil, &lane), link.AppendFrame(nil, &large)} {
		before := b.Counts().Refused
		conn := knockAt(t, b, knock+string(b.inlets.door.word[:])+string(frame))
		_, _ = io.Copy(io.Discard, conn) // it is closed, or reset because not all was read
		if b.Counts().Refused != before+1 {
			t.Errorf("frame %d is not refused", i)
		}
	}
	if a.downs()+b.downs() != 0 {
		t.Error("the link of others was reset")
	}
}

func knockAt(t *testing.T, b *town, with string) net.Conn {
	conn, err := net.Dial("tcp", b.BulkAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	go conn.Write([]byte(with)) // which fails where the other end closes before it has read all
	return conn
}

func TestABulkListenerThatIsNotReachedIsToldOf(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	oa, log := listening("walled", 1)
	a := open(t, oa)
	ob := options("walled", 2, a.Addr())
	ob.Bulk.Advertise = nobody.Addr().String()
	open(t, ob)
	eventually(t, "it is logged", func() bool {
		return strings.Contains(log.String(), "its bulk listener must be open to this one (cluster.bulk.listen)") && strings.Contains(log.String(), "address="+ob.Bulk.Advertise)
	})
	if got := a.Peers(); len(got) != 0 {
		t.Errorf("it is linked to %v without a way for records", got)
	}
}

func TestAStreamThatEndsResetsTheLink(t *testing.T) {
	a, b := pair(t)
	a.Send(pulled(a, b, 1, 100))
	eventually(t, "it has come", func() bool { return len(b.letters()) == 1 })
	b.inlets.mu.Lock()
	for conn := range b.inlets.conns {
		conn.Close()
	}
	b.inlets.mu.Unlock()
	eventually(t, "both are told", func() bool { return a.downs() > 0 && b.downs() > 0 })
	linked(t, a, b)
	a.Send(pulled(a, b, 2, 100))
	eventually(t, "the next session's letter comes", func() bool { return len(b.letters()) == 2 })
}

func TestDoorsComeBackAsTheyWere(t *testing.T) {
	d := door{word: [16]byte{1, 2}, address: "[::1]:7000"}
	if got, ok := readDoor(d.greeting()); !ok || got != d {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, b := range [][]byte{nil, d.word[:], append(d.word[:], "host"...)} {
		if got, ok := readDoor(b); ok {
			t.Errorf("%q is read as %+v", b, got)
		}
	}
}

func TestWhereTheBulkLaneIsEntered(t *testing.T) {
	for _, c := range []struct {
		listen, advertise string
		bulk              Door
		told, refused     string
	}{
		{"127.0.0.1:1", "", Door{}, "127.0.0.1:", ""},
		{"127.0.0.1:1", "example:6222", Door{}, "example:", ""},
		{"0.0.0.0:1", "example:6222", Door{Advertise: "other:7000"}, "other:7000", ""},
		{"127.0.0.1:1", "", Door{Listen: "127.0.0.2:0"}, "127.0.0.2:", ""},
		{"0.0.0.0:1", "", Door{}, "", "is every address of this machine: say in Advertise"},
		{"127.0.0.1:1", "", Door{Listen: "nowhere"}, "", "bulk listener nowhere: "},
	} {
		l, d, err := openDoor(&Options{Listen: c.listen, Advertise: c.advertise, Bulk: c.bulk})
		if l != nil {
			l.Close()
		}
		if c.refused == "" && (err != nil || !strings.HasPrefix(d.address, c.told)) || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%+v: %+v, %v", c, d, err)
		}
	}
}

// FuzzStream: whatever a stream brings, it is read to an end and nothing else comes of it, in one piece and in many.
func FuzzStream(f *testing.F) {
	o := options("fuzz", 2)
	o.Incarnation[0] = 2
	o.Receive, o.PeerDown = func(stage.Letter) {}, func(message.NodeID) {}
	m, err := Open(o)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { m.Close() })
	hello := link.Frame{Kind: link.Hello, Lane: message.Bulk, Cluster: "fuzz", Node: 5, From: link.Mark{Incarnation: message.TopicID{5}, Session: 1}}
	data := hello
	data.Kind, data.Sequence, data.Payload = link.Data, 1, []byte{0, 0, 0, 1, 0}
	f.Add(slices.Concat(link.AppendFrame(nil, &hello), link.AppendFrame(nil, &data)))
	f.Add([]byte("TRP1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range []io.Reader{bytes.NewReader(b), iotest.OneByteReader(bytes.NewReader(b))} {
			in := &inlet{mesh: m, in: bufio.NewReaderSize(r, inletBuffer)}
			if in.read() == nil {
				t.Fatal("it has no end")
			}
		}
	})
}
