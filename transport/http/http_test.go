package http

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	r, err := http.Get("http://" + s.Address() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	counters := NewCounters(func(int16) string { return "Produce" })
	registry := prometheus.NewRegistry()
	registry.MustRegister(counters)
	s, err := Listen("127.0.0.1:0", registry, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if status, _ := get(t, s, "/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
	if status, why := get(t, s, "/readyz"); status != http.StatusServiceUnavailable || why != "not ready: starting\n" {
		t.Errorf("readyz before it is: %d %s", status, why)
	}
	s.Ready()
	if status, _ := get(t, s, "/readyz"); status != http.StatusOK {
		t.Errorf("readyz: %d", status)
	}
	s.Unready("stopping")
	if status, why := get(t, s, "/readyz"); status != http.StatusServiceUnavailable || why != "not ready: stopping\n" {
		t.Errorf("readyz when it is no more: %d %s", status, why)
	}
	counters.Request(0, 3*time.Millisecond, 100, 20)
	counters.Request(0, time.Hour, 1, 1)
	counters.Connections(1)
	_, metrics := get(t, s, "/metrics")
	for _, line := range []string{
		`troupe_kafka_request_seconds_bucket{api="Produce",le="0.0025"} 0`,
		`troupe_kafka_request_seconds_bucket{api="Produce",le="0.005"} 1`,
		`troupe_kafka_request_seconds_bucket{api="Produce",le="+Inf"} 2`,
		`troupe_kafka_request_bytes_total{api="Produce"} 101`,
		`troupe_kafka_connections 1`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("metrics lack %s in\n%s", line, metrics)
		}
	}
}

// Somebody who is being answered for long neither delays the close for long nor makes it fail.
func TestCloseHangsUpOnTheSlow(t *testing.T) {
	s, err := Listen("127.0.0.1:0", prometheus.NewRegistry(), true)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if r, err := http.Get("http://" + s.Address() + "/debug/pprof/trace?seconds=60"); err == nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	}()
	time.Sleep(100 * time.Millisecond) // it is being answered
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-ended
}

func TestPortInUseIsToldWithTheRemedy(t *testing.T) {
	s, err := Listen("127.0.0.1:0", prometheus.NewRegistry(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := Listen(s.Address(), prometheus.NewRegistry(), false); err == nil || !strings.Contains(err.Error(), "--http") {
		t.Errorf("%v", err)
	}
}

func BenchmarkRequest(b *testing.B) {
	c := NewCounters(nil)
	b.ReportAllocs()
	for b.Loop() {
		c.Request(1, time.Millisecond, 100, 100)
	}
}
