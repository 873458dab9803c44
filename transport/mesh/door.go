package mesh

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
)

// door is where a node's bulk lane is entered, and the word that opens it. It goes to the others with every hello of the control lane, and
// so only to those who have proved themselves there:
//
//	word (16), "host:port"
type door struct {
	word    [16]byte // new in each life of a node
	address string
}

// A stream begins with what its sender knows of the door; frames follow:
//
//	0      4       5        21
//	├──────┼───────┼─────────┤
//	│"TRPB"│version│  word   │
//	│      │   1   │         │
//	└──────┴───────┴─────────┘
const (
	knock     = "TRPB\x01"
	knockSize = len(knock) + len(door{}.word)
)

var errKnock = errors.New("a stream does not begin with the word that was told to the nodes of the cluster")

func (d *door) greeting() []byte { return append(d.word[:], d.address...) }

// readDoor reads what another node's hello says.
func readDoor(b []byte) (d door, ok bool) {
	if len(b) <= len(d.word) {
		return d, false
	}
	d.address = string(b[copy(d.word[:], b):])
	_, _, err := net.SplitHostPort(d.address)
	return d, err == nil
}

// opening is how a stream begins.
func (d *door) opening() []byte { return append([]byte(knock), d.word[:]...) }

// knock says the word.
func (d *door) knock(w io.Writer) error {
	_, err := w.Write(d.opening())
	return err
}

// answer hears whether who has come knows the word.
func (d *door) answer(r io.Reader) error {
	var b [knockSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(b[:], d.opening()) != 1 {
		return errKnock
	}
	return nil
}

// openDoor listens for streams of the bulk lane.
func openDoor(o *Options) (net.Listener, *door, error) {
	at := o.Bulk.Listen
	if at == "" {
		at = net.JoinHostPort(hostOf(o.Listen), "0")
	}
	listener, err := net.Listen("tcp", at)
	if err != nil {
		return nil, nil, fmt.Errorf("bulk listener %s: %w: another process listens there, or it is no address of this machine", at, err)
	}
	d := &door{address: o.Bulk.Advertise}
	if d.address == "" {
		_, port, _ := net.SplitHostPort(listener.Addr().String()) // which is one
		d.address = net.JoinHostPort(hostOf(cmp.Or(o.Advertise, o.Bulk.Listen, o.Listen)), port)
	}
	if host := hostOf(d.address); host == "" || net.ParseIP(host).IsUnspecified() {
		return nil, nil, errors.Join(fmt.Errorf("bulk listener %s is every address of this machine: say in Advertise which one others shall use", at), listener.Close())
	}
	_, _ = rand.Read(d.word[:]) // it never fails (crypto/rand)
	return listener, d, nil
}

// hostOf is the host of "host:port"; empty if it is none.
func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	return host
}
