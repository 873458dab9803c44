package mesh

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
	"github.com/troupe-broker/troupe/transport/mesh/link"
)

func TestFramesThatAreNotOursAreCountedAndDropped(t *testing.T) {
	a, b := pair(t)
	hello := link.Frame{Kind: link.Hello, Cluster: "pair", Node: 5, From: link.Mark{Incarnation: message.TopicID{5}, Session: 1}}
	other, self, lane := hello, hello, hello
	other.Cluster, self.Node, lane.Lane = "another", 2, message.Bulk
	damaged := link.AppendFrame(nil, &hello)
	damaged[70]++
	frames := [][]byte{
		[]byte("no frame"), damaged, link.AppendFrame(nil, &other), link.AppendFrame(nil, &self), link.AppendFrame(nil, &lane),
	}
	for _, frame := range frames {
		a.control.conn.Publish(subject("pair", 2), frame)
	}
	eventually(t, "all are counted", func() bool { return b.Counts().Refused == uint64(len(frames)) })
	a.Send(pull(a, b, 1))
	eventually(t, "and the link goes on", func() bool { return len(b.letters()) == 1 })
	if b.Counts().Resets != 0 {
		t.Error("it was reset")
	}
}

func TestAnUnknownWordIsAnsweredWithDown(t *testing.T) {
	a, b := pair(t)
	unknown, err := newLetter(&stage.Letter{From: message.BrokerAt(1), To: message.BrokerAt(2), Kind: stage.LetterWord, Request: 77})
	if err != nil {
		t.Fatal(err)
	}
	unknown.Body = []byte{0xff, 1, 2}
	a.peer(2).change(func(k *link.Link) { k.Push(message.Control, unknown) })
	eventually(t, "the asker is told", func() bool { return len(a.letters()) == 1 })
	want := stage.Letter{From: message.BrokerAt(2), To: message.BrokerAt(1), Kind: stage.LetterDown, Request: 77}
	if got := a.letters()[0]; got != want || b.Counts().Resets != 0 || b.Counts().Refused != 1 {
		t.Fatalf("%+v, %+v", got, b.Counts())
	}
}

func TestLettersComeBackAsTheyWere(t *testing.T) {
	at := message.PartitionAt(3, message.PartitionID{Topic: message.TopicID{9}, Index: 4})
	for _, l := range []stage.Letter{
		{From: at, To: message.ConnectionAt(1, 1<<40), Kind: stage.LetterWord, Request: 1 << 60, Word: &message.Pull{End: 5}},
		{From: message.CoordinatorAt(1, at.Partition), To: message.CoordinatorAt(3, at.Partition), Kind: stage.LetterWord, Request: 1, Word: &message.Mark{Producer: 8}},
		{From: message.BrokerAt(1), To: at, Kind: stage.LetterAnswer, Word: &message.Pulled{Batches: []byte{1, 2}}},
		{From: at, To: at, Kind: stage.LetterDown, Request: 6},
		{From: at, To: at, Kind: stage.LetterWatch}, {From: at, To: at, Kind: stage.LetterGone},
	} {
		b, err := newLetter(&l)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := readLetter(append(b.Head[link.Prefix:], b.Body...)); err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("%+v came back as %+v, %v", l, got, err)
		}
	}
}

func FuzzLetter(f *testing.F) {
	b, _ := newLetter(&stage.Letter{From: message.BrokerAt(1), To: message.BrokerAt(2), Kind: stage.LetterWord, Word: &message.Pull{}})
	f.Add(b.Head[link.Prefix:])
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, known, err := readLetter(b); err == nil && (!known || (l.Word == nil) != (l.Kind > stage.LetterAnswer)) {
			t.Fatalf("%x is read as %+v", b, l)
		}
	})
}

func TestOpenRefusesWithASentence(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for sentence, spoil := range map[string]func(*Options){
		"needs a secret":          func(o *Options) { o.Secret = "" },
		"letters, digits":         func(o *Options) { o.Cluster = "a.b" },
		"write HOST:PORT":         func(o *Options) { o.Listen = "nowhere" },
		"another process listens": func(o *Options) { o.Listen = taken.Addr().String() },
		"bulk listener":           func(o *Options) { o.Bulk.Listen = taken.Addr().String() },
		"of another node's":       func(o *Options) { o.Join = []string{"host"} },
		"is negative":             func(o *Options) { o.Node = -1 },
	} {
		o := options("c", 1)
		o.Incarnation[0] = 1
		o.Receive, o.PeerDown = func(stage.Letter) {}, func(message.NodeID) {}
		spoil(&o)
		if m, err := Open(o); err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("%q is not in: %v", sentence, err)
			if m != nil {
				m.Close()
			}
		}
	}
}

func TestWithTLSBothEndsProveThemselves(t *testing.T) {
	config := certified(t)
	oa := options("tls", 1)
	oa.TLS = config
	a := open(t, oa)
	ob := options("tls", 2, a.Addr())
	ob.TLS = config
	b := open(t, ob)
	plain := open(t, options("tls", 3, a.Addr()))
	linked(t, a, b)
	a.Send(pulled(a, b, 1, 3<<20))
	eventually(t, "records cross", func() bool { return len(b.letters()) == 1 })
	if got := plain.Peers(); len(got) != 0 {
		t.Errorf("a node without TLS is linked to %v", got)
	}
}

// certified is a configuration with a certificate that signs itself, for both ends.
func certified(t *testing.T) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(own)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}
}
