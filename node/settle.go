package node

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/controller"
	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/persistence/vfs"
)

// settled is how a node stands to others.
type settled struct {
	Format
	listen string   // where its mesh listens, never port 0; empty: it is alone
	join   []string // where others may be
	secret string
}

// settle finds out of which cluster the node is: the one that its directory names, one that it founds with others, or one that it
// joins. It returns when that is known and written down.
func (n *Node) settle(files vfs.FS, f Format) (*settled, error) {
	s := &settled{Format: f, listen: n.config.Cluster.Listen, join: n.config.Cluster.Addresses()}
	if s.listen == "" {
		return s, refuseLonely(f) // it founds when its doors are open
	}
	secret, err := n.secret(files)
	if err != nil {
		return nil, err
	}
	if f.Cluster == "" || f.Promised {
		if err = n.refuseUnnamed(files, f); err == nil {
			err = n.meet(s, files, secret)
		}
	} else {
		err = refuseStrangeMembers(s, n.config.Cluster.TLS)
	}
	if err == nil {
		err = n.found(s, files)
	}
	if s.secret = secret; secret == "" {
		s.secret = derived(s.Cluster)
		n.log.Info("no cluster.secret is given: nodes on this machine's loopback prove themselves with one made from the cluster's id")
	}
	return s, err
}

// refuseLonely refuses to start a member of a cluster as if it were all of it: it would wait for the others for ever.
func refuseLonely(f Format) error {
	if f.Founders == nil || len(f.Founders) == 1 && f.Founders[0] == f.Node {
		return nil
	}
	return fmt.Errorf("this node is of cluster %s with the nodes %d: say where it listens for them and where they are, with --cluster and --join", f.Cluster, f.Founders)
}

// refuseUnnamed refuses a directory that has metadata, and no word of which cluster.
func (n *Node) refuseUnnamed(files vfs.FS, f Format) error {
	file, err := files.Open("metadata/snapshot")
	if errors.Is(err, fs.ErrNotExist) || f.Promised {
		return nil
	}
	if err == nil {
		err = errors.Join(file.Close(), errors.New("it does not name its cluster yet: start it once without --cluster"))
	}
	return unusable(n.config.Data, err)
}

// refuseStrangeMembers asks those that the node is to join for their cluster: who is of another would never be heard.
func refuseStrangeMembers(s *settled, secure *tls.Config) error {
	found := make(chan error, len(s.join))
	for _, address := range s.join {
		go func() {
			one, err := probe(address, secure)
			if err == nil && one != nil && one.cluster != s.Cluster {
				err = stranger(address, one.cluster, s.Cluster)
			} else if err == nil && one != nil && one.node == s.Node {
				err = twin(one.node, address)
			}
			found <- err
		}()
	}
	var errs []error
	for range s.join {
		errs = append(errs, <-found)
	}
	return errors.Join(errs...)
}

// meet founds or joins.
func (n *Node) meet(s *settled, files vfs.FS, secret string) error {
	m := n.config.Cluster
	door, err := net.Listen("tcp", m.Listen)
	if err != nil {
		return fmt.Errorf("cluster.listen=%s: %w: write HOST:PORT with an address of this machine that is free", m.Listen, err)
	}
	s.listen = door.Addr().String()
	if m.TLS != nil {
		door = tls.NewListener(door, m.TLS)
	}
	address := m.Advertise
	if address == "" {
		address = s.listen
	}
	self := hello{Node: n.config.ID, Incarnation: rand.Text(), Directory: s.Directory, Address: address, Expect: m.founders(n.config.ID)}
	for _, v := range m.Voters {
		self.Founders = append(self.Founders, v.Node)
	}
	lone := self.Expect == 0 && len(s.join) == 0
	if lone {
		self.Expect = 1
	}
	if s.Promised {
		self.Promise = &promise{s.Cluster, s.Founders, s.Directories}
	}
	g := &gate{lone: lone, log: n.log, door: door, tls: m.TLS, secret: secret, meeting: newMeeting(self, newClusterID()), known: without(s.join, address)}
	g.keep = func(p *promise) error {
		s.promise(p)
		return s.write(files)
	}
	v, err := g.meet(context.Background())
	if err != nil {
		return err
	}
	if v.joins != "" {
		s.Cluster, s.Founders = v.joins, []message.NodeID{g.meeting.found.node}
	}
	s.join = g.known
	if s.Promised {
		return nil // until it is founded here too
	}
	return s.write(files)
}

// found carries a promise out that everybody has given, and refuses a founder's directory that has lost the metadata.
func (n *Node) found(s *settled, files vfs.FS) error {
	has, err := controller.Founded(files)
	if err != nil {
		return unusable(n.config.Data, err)
	}
	old := s.Directory.IsZero() && (s.Founders == nil || slices.Contains(s.Founders, s.Node)) // no format says what its founders had
	switch {
	case has && !s.Promised, s.Directories == nil && !old:
		return nil
	case !has && !s.Promised && !old:
		return unusable(n.config.Data, fmt.Errorf("it is a founder's of cluster %s, and its metadata is gone: restore it from a copy, or join the others with an empty --data", s.Cluster))
	}
	voters := []controller.Voter{{Node: s.Node, Directory: s.Directory}}
	if s.Founders != nil {
		voters = nil
	}
	for i, f := range s.Founders {
		v := controller.Voter{Node: f}
		if s.Directories != nil {
			v.Directory = s.Directories[i]
		}
		voters = append(voters, v)
	}
	if err := controller.Found(files, voters); err != nil {
		return unusable(n.config.Data, err)
	}
	s.Promised = false
	return s.write(files)
}

func without(addresses []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(addresses), func(a string) bool { return a == one })
}

// newClusterID draws an id as Kafka's are: 16 bytes as 22 characters.
func newClusterID() string { return idText(newDirectoryID()) }

func newDirectoryID() (id message.TopicID) {
	_, _ = rand.Read(id[:]) // it never fails (crypto/rand)
	return id
}

func idText(id message.TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func parseID(text string) (id message.TopicID, err error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil && len(b) != len(id) {
		err = errors.New("an id has 22 letters")
	}
	copy(id[:], b)
	return id, err
}

// secret is what was given, by setting or by file. Off loopback there must be one: whoever reaches the port could speak as a broker.
func (n *Node) secret(files vfs.FS) (string, error) {
	m := n.config.Cluster
	if m.Secret != "" {
		return m.Secret, nil
	}
	content, err := readAll(files, secretFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", unusable(n.config.Data, err)
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" && !m.Loopback() {
		return "", fmt.Errorf("cluster.listen=%s can be reached from other machines: give all nodes the same cluster.secret, or a file %s in their data directories", m.Listen, secretFile)
	}
	return secret, nil
}

// derived is the secret of nodes that were given none: it keeps apart clusters that meet on a machine, and protects from nobody.
func derived(cluster string) string {
	sum := sha256.Sum256([]byte("troupe " + cluster))
	return hex.EncodeToString(sum[:])
}
