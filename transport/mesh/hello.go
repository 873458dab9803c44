package mesh

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	helloAgain   = 100 * time.Millisecond
	greetingMax  = 64 << 10
	greetingWait = 2 * time.Second
)

// greeting is what an embedded server says to whoever connects, before any proof is asked for: NATS's INFO.
type greeting struct {
	Cluster string `json:"cluster"`
	Name    string `json:"server_name"`
}

// Hello asks the nodes at the addresses which cluster they are of, and returns its id as soon as one answers. A node that already is of a
// cluster gives its id: the answer is then the same, or an error that says why it is refused. An empty cluster takes what it is told.
// While nobody listens it asks again, until the context ends. Without TLS (secure, as in Options; nil for none) nothing is proved by the
// answer: that is done by the routes.
func Hello(ctx context.Context, join []string, cluster string, secure *tls.Config) (string, error) {
	var last error
	for ctx.Err() == nil {
		for _, address := range join {
			told, err := ask(ctx, address, secure)
			switch {
			case err != nil:
				last = err
			case cluster == "" || told == cluster:
				return told, nil
			default:
				return "", fmt.Errorf("join %s: that node is of cluster %s and this one's data is of cluster %s: join a node of its own cluster, or start with an empty data directory",
					address, told, cluster)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(helloAgain):
		}
	}
	return "", errors.Join(fmt.Errorf("join %s: no node answers: %w", strings.Join(join, ","), ctx.Err()), last)
}

// ask reads one node's greeting.
func ask(ctx context.Context, address string, secure *tls.Config) (cluster string, err error) {
	conn, err := (&net.Dialer{Timeout: greetingWait}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(greetingWait))
	if secure != nil {
		own := secure.Clone()
		if host, _, err := net.SplitHostPort(address); err == nil && own.ServerName == "" {
			own.ServerName = host
		}
		conn = tls.Client(conn, own)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, greetingMax)).ReadBytes('\n')
	if err != nil {
		return "", fmt.Errorf("%s does not greet: %w", address, err)
	}
	return readGreeting(address, line)
}

func readGreeting(address string, line []byte) (string, error) {
	word, rest, _ := strings.Cut(string(line), " ")
	var g greeting
	if word != "INFO" || json.Unmarshal([]byte(rest), &g) != nil || !clusterID.MatchString(g.Cluster) {
		return "", fmt.Errorf("%s is no cluster listener", address)
	}
	if _, ok := nodeOf(g.Name); !ok {
		return "", fmt.Errorf("%s is a NATS server and no node of a Troupe cluster", address)
	}
	return g.Cluster, nil
}
