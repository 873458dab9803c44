package node

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
)

// Nodes that have no cluster yet meet where their mesh will listen. Whoever connects hears a line, and which one says whom it found:
//
//	TROUPE 2 NONCE      a node that looks for its cluster too; it is sent, and answers with: MAC {hello as JSON}
//	INFO {...}          a node of a cluster that runs: NATS says so of a route (its cluster and server name)
//	REFUSED SENTENCE    in place of an answer
//
// MAC is HMAC-SHA256 over the nonce, who speaks and the hello, with the cluster's secret. What a mesh sends here finds no answer.
const helloVersion = 2

// helloBytesMax bounds a line of the other's.
const helloBytesMax = 64 << 10

// hello is what a node that looks for its cluster says of itself.
type hello struct {
	Node        message.NodeID  `json:"node"`
	Incarnation string          `json:"incarnation"` // tells it from another process that has the same number
	Directory   message.TopicID `json:"directory"`   // of its data; with another it is no more who it was
	Address     string          `json:"address"`     // where it can be met
	Expect      int             `json:"expect"`      // so many nodes found; 0: this one joins
	// Founders are the nodes that found, if they were named.
	Founders []message.NodeID `json:"founders,omitempty"`
	// Promise is what it will found and nothing else, once it has written that down.
	Promise *promise `json:"promise,omitempty"`
	// Known are addresses of others.
	Known []string `json:"known,omitempty"`
}

// promise is a founding: a cluster's id, and who votes in it, ascending, each with its data directory.
type promise struct {
	Cluster     string            `json:"cluster"`
	Voters      []message.NodeID  `json:"voters"`
	Directories []message.TopicID `json:"directories"`
}

func (p *promise) equal(other *promise) bool {
	return p.Cluster == other.Cluster && slices.Equal(p.Voters, other.Voters) && slices.Equal(p.Directories, other.Directories)
}

// names says that a node founds, with the data directory that it has.
func (p *promise) names(h *hello) bool {
	at := slices.Index(p.Voters, h.Node)
	return at >= 0 && p.Directories[at] == h.Directory
}

// The speakers: an answer cannot be told as a question.
const (
	asking    = "ask"
	answering = "answer"
)

// seal makes the line that says hello.
func (h *hello) seal(secret, nonce, speaker string) (string, error) {
	b, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(mac(secret, nonce, speaker, b)) + " " + string(b) + "\n", nil
}

var (
	errSecret = errors.New("it knows another secret: give all nodes of a cluster the same cluster.secret")
	errHello  = errors.New("no hello of a node")
)

// unseal reads a line that says hello.
func unseal(line, secret, nonce, speaker string) (*hello, error) {
	code, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	sum, err := hex.DecodeString(code)
	if !ok || err != nil || len(sum) != sha256.Size {
		return nil, errHello
	}
	if !hmac.Equal(sum, mac(secret, nonce, speaker, []byte(text))) {
		return nil, errSecret
	}
	h := &hello{}
	if err := json.Unmarshal([]byte(text), h); err != nil {
		return nil, fmt.Errorf("%w: %w", errHello, err)
	}
	if h.Node < 0 || h.Expect < 0 || h.Expect > votersMax || h.Promise != nil && (h.Promise.Cluster == "" || len(h.Promise.Voters) == 0 || len(h.Promise.Voters) != len(h.Promise.Directories)) {
		return nil, errHello
	}
	return h, nil
}

func mac(secret, nonce, speaker string, text []byte) []byte {
	m := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(m, "troupe %d %s %s\n", helloVersion, nonce, speaker)
	m.Write(text)
	return m.Sum(nil)
}

// member is a node of a cluster that runs.
type member struct {
	node    message.NodeID
	cluster string
}

// greeting reads the first line that is heard at an address: a nonce, or a member.
func greeting(line string) (nonce string, m *member, err error) {
	kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch kind {
	case "TROUPE":
		version, nonce, _ := strings.Cut(rest, " ")
		if version != strconv.Itoa(helloVersion) || nonce == "" {
			return "", nil, fmt.Errorf("it is another version of Troupe (%.10q; this one says %d): start all nodes with the same program", version, helloVersion)
		}
		return nonce, nil, nil
	case "INFO":
		m, err := parseInfo(rest)
		return "", m, err
	}
	return "", nil, errors.New("no node of Troupe listens there")
}

// parseInfo finds a member in what NATS says of a route: its cluster, and its name, "troupe-2-INCARNATION".
func parseInfo(text string) (*member, error) {
	var info struct {
		Cluster string `json:"cluster"`
		Name    string `json:"server_name"`
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		return nil, fmt.Errorf("what listens there is no node of Troupe: %w", err)
	}
	number, ours := strings.CutPrefix(info.Name, "troupe-")
	number, _, _ = strings.Cut(number, "-")
	n, err := strconv.ParseInt(number, 10, 32)
	if !ours || err != nil || n < 0 || info.Cluster == "" {
		return nil, fmt.Errorf("what listens there is no node of Troupe, but the NATS server %.60q", info.Name)
	}
	return &member{message.NodeID(n), info.Cluster}, nil
}
