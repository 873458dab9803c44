package node

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/message/setting"
)

// Listener is one address to listen on, and what clients are told of it.
type Listener struct {
	Name     string // "PLAINTEXT", "INTERNAL"
	Protocol string // what it speaks; "PLAINTEXT" is all there is yet
	Address  string // "host:port"; an empty host is every address, port 0 a free one
	// Advertised is what clients are told to connect to. An empty host, or port 0, stands for what the client used.
	Advertised message.Endpoint
}

// place is one element of listeners or advertised.listeners.
type place struct {
	name, host string
	port       int32
}

// takeListeners joins listeners, advertised.listeners and listener.security.protocol.map. Those of Kafka's controllers are
// left out: controllers have no listener of their own here.
func (c *Config) takeListeners(l setting.Layers) error {
	listen, err := places("listeners", l.Strings("listeners"))
	if err != nil {
		return err
	}
	advertise, err := places("advertised.listeners", l.Strings("advertised.listeners"))
	if err != nil {
		return err
	}
	protocols, err := protocolMap(l.Text("listener.security.protocol.map"))
	if err != nil {
		return err
	}
	controllers := l.Strings("controller.listener.names")
	for _, p := range listen {
		if slices.Contains(controllers, p.name) {
			c.Notes = append(c.Notes, fmt.Sprintf("the listener %s is for Kafka's controllers and is not opened", p.name))
			continue
		}
		one, err := p.listener(protocols, advertise)
		if err != nil {
			return err
		}
		c.Listeners = append(c.Listeners, one)
	}
	if len(c.Listeners) == 0 {
		return fmt.Errorf("listeners=%s: there is none for clients: name one, as in PLAINTEXT://:9092", l.Text("listeners"))
	}
	return c.refuseStrays(advertise, controllers)
}

// refuseStrays refuses advertised listeners that nothing listens on.
func (c *Config) refuseStrays(advertise []place, controllers []string) error {
	for _, a := range advertise {
		known := func(l Listener) bool { return l.Name == a.name }
		if !slices.ContainsFunc(c.Listeners, known) && !slices.Contains(controllers, a.name) {
			return fmt.Errorf("advertised.listeners names %s, which is not in listeners: add it there or take it out", a.name)
		}
	}
	return nil
}

func (p place) listener(protocols map[string]string, advertise []place) (Listener, error) {
	protocol, ok := protocols[p.name]
	if !ok {
		return Listener{}, fmt.Errorf("listeners names %s, and listener.security.protocol.map does not say what it speaks: add %s:PLAINTEXT there", p.name, p.name)
	}
	if protocol != "PLAINTEXT" {
		return Listener{}, fmt.Errorf("the listener %s speaks %s, which is not there yet: use PLAINTEXT", p.name, protocol)
	}
	l := Listener{Name: p.name, Protocol: protocol, Address: net.JoinHostPort(p.host, strconv.Itoa(int(p.port)))}
	l.Advertised = message.Endpoint{Listener: p.name, Protocol: protocol}
	if i := slices.IndexFunc(advertise, func(a place) bool { return a.name == p.name }); i >= 0 {
		if advertise[i].host == "0.0.0.0" || advertise[i].host == "::" {
			return l, fmt.Errorf("advertised.listeners: clients cannot connect to %s: name an address, or leave advertised.listeners out", advertise[i].host)
		}
		l.Advertised.Host, l.Advertised.Port = advertise[i].host, advertise[i].port
	}
	return l, nil
}

// places reads NAME://HOST:PORT. The same name twice is refused, as the same address is by the operating system.
func places(setting string, elements []string) ([]place, error) {
	var all []place
	for _, e := range elements {
		name, address, ok := strings.Cut(e, "://")
		host, port, err := net.SplitHostPort(address)
		number, wrong := strconv.ParseUint(port, 10, 16)
		if !ok || name == "" || err != nil || wrong != nil {
			return nil, fmt.Errorf("%s: %q is not like NAME://HOST:PORT, as in PLAINTEXT://localhost:9092", setting, e)
		}
		name = strings.ToUpper(name)
		if slices.ContainsFunc(all, func(p place) bool { return p.name == name }) {
			return nil, fmt.Errorf("%s names %s twice: give each listener its own name", setting, name)
		}
		all = append(all, place{name, host, int32(number)})
	}
	return all, nil
}

// protocolMap reads NAME:PROTOCOL.
func protocolMap(value string) (map[string]string, error) {
	all := map[string]string{"PLAINTEXT": "PLAINTEXT"}
	for _, e := range setting.Elements(value) {
		name, protocol, ok := strings.Cut(e, ":")
		protocol = strings.ToUpper(protocol)
		if !ok || !slices.Contains([]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, protocol) {
			return nil, fmt.Errorf("listener.security.protocol.map: %q is not like NAME:PROTOCOL with PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", e)
		}
		all[strings.ToUpper(name)] = protocol
	}
	return all, nil
}
