package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificates are the settings with a certificate for 127.0.0.1 that signs itself.
func certificates(t *testing.T) []string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	own, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("certificate.pem", "CERTIFICATE", own)
	return []string{tlsCertificate + "=" + file, tlsKey + "=" + write("key.pem", "EC PRIVATE KEY", secret), tlsAuthority + "=" + file}
}

func TestNodesFoundAClusterOverTLS(t *testing.T) {
	r, secure := newTrio(t), certificates(t)
	with := func(set ...string) []string { return append(set, secure...) }
	nodes, failed := r.start(map[int][]string{1: with("bootstrap.expect=2"), 2: with("bootstrap.expect=2", "cluster.join="+r.mesh[1])})
	defer r.stop(nodes)
	for i, err := range failed {
		if err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
	}
	imageOf(t, nodes[1], 2)
	imageOf(t, nodes[2], 2)
	families, err := nodes[1].registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "troupe_mesh_peers" && f.Metric[0].Gauge.GetValue() == 1 {
			return
		}
	}
	t.Error("the metrics do not show the other node")
}

func TestTLSBetweenNodesIsAllOrNothing(t *testing.T) {
	good := certificates(t)
	rotten := filepath.Join(t.TempDir(), "rotten.pem")
	if err := os.WriteFile(rotten, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, set := range map[string][]string{
		"cluster.tls.key is not set": {good[0], good[2]},
		"there is no certificate in": {good[0], good[1], tlsAuthority + "=" + rotten},
		"name PEM files of a cert":   {tlsCertificate + "=" + rotten, good[1], good[2]},
		"no such file":               {good[0], good[1], tlsAuthority + "=" + rotten + "-gone"},
	} {
		_, err := Load(Sources{Set: append(set, "cluster.listen=127.0.0.1:0")})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "cluster.tls.") {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestANodeWithoutTLSIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Write([]byte("TROUPE 1 ABC\n"))
			conn.Close()
		}
	}()
	c, err := Load(Sources{Set: append(certificates(t), "cluster.listen=127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(l.Addr().String(), c.Cluster.TLS); err == nil || !strings.Contains(err.Error(), "give all nodes certificates") {
		t.Errorf("it says %v", err)
	}
}
