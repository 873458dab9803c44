package mesh

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/troupe-broker/troupe/actors/message"
)

// wire is a lane's connection into the embedded server. One goroutine publishes and answers.
type wire interface {
	// listen hands out what comes to a subject, one after the other, until the connection ends, which it tells then. What it hands out is valid
	// only during the call. It calls rouse when answer is to be called.
	listen(subject string, each func([]byte), rouse func(), ended func(error)) error
	// publish sends the frame that stands in b behind pubRoom bytes, which it may use, as it may what is behind the frame.
	publish(subject string, b []byte) error
	// answer tells the server what it waits for.
	answer() error
	isClosed() bool
	close()
}

// connect opens a lane's wire: nats.go's connection, and for what is copied, where that costs too much, a pipe.
func connect(s *server.Server, lane message.Lane) (wire, error) {
	name := laneNames[lane]
	if lane != message.Bulk {
		c, err := nats.Connect("", nats.InProcessServer(s), nats.Name(name), nats.UserInfo(name, ""), nats.NoReconnect(), nats.Timeout(startPatience))
		return client{c}, err
	}
	conn, err := s.InProcessConn()
	if err != nil {
		return nil, err
	}
	p, err := greet(conn, name, startPatience)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mesh: lane %s: %w", name, err), conn.Close())
	}
	return p, nil
}

// client is nats.go's connection.
type client struct{ *nats.Conn }

// listen is part of wire. Nothing is dropped on the way in: credits bound what can come.
func (c client) listen(subject string, each func([]byte), _ func(), ended func(error)) error {
	sub, err := c.Subscribe(subject, func(m *nats.Msg) { each(m.Data) })
	if err != nil {
		return err
	}
	sub.SetClosedHandler(func(string) { ended(c.LastError()) }) // behind the last call of each
	return sub.SetPendingLimits(-1, -1)
}

func (c client) publish(subject string, b []byte) error { return c.Publish(subject, b[pubRoom:]) }
func (c client) answer() error                          { return nil }
func (c client) isClosed() bool                         { return c.IsClosed() }
func (c client) close()                                 { c.Close() }
