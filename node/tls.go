package node

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/troupe-broker/troupe/actors/message/setting"
)

// The settings of TLS between nodes: all three, or none.
const (
	tlsCertificate = "cluster.tls.certificate"
	tlsKey         = "cluster.tls.key"
	tlsAuthority   = "cluster.tls.authority"
)

// clusterTLS is how nodes prove themselves to each other, in both directions: each connects to the others and is connected to. It is nil
// if nothing was said of it. What cannot work is refused here and not when the first connection fails.
func clusterTLS(l setting.Layers) (*tls.Config, error) {
	files := map[string]string{}
	for _, name := range []string{tlsCertificate, tlsKey, tlsAuthority} {
		if file := l.Text(name); file != "" {
			files[name] = file
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	for _, name := range []string{tlsCertificate, tlsKey, tlsAuthority} {
		if files[name] == "" {
			return nil, fmt.Errorf("%s is not set: TLS between nodes needs %s, %s and %s", name, tlsCertificate, tlsKey, tlsAuthority)
		}
	}
	own, err := tls.LoadX509KeyPair(files[tlsCertificate], files[tlsKey])
	if err != nil {
		return nil, fmt.Errorf("%s=%s, %s=%s: %w: name PEM files of a certificate and its key", tlsCertificate, files[tlsCertificate], tlsKey, files[tlsKey], err)
	}
	authorities, err := os.ReadFile(files[tlsAuthority])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tlsAuthority, err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("%s=%s: there is no certificate in it: name a PEM file of the authorities that sign nodes' certificates", tlsAuthority, files[tlsAuthority])
	}
	return &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: trusted, ClientCAs: trusted,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}, nil
}
