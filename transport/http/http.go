// Package http is the door for operators: /metrics for Prometheus, /healthz (the process lives) and /readyz (it serves).
// It also counts what happens at the other doors, and sends OpenTelemetry traces where that is configured.
//
// It asks no actor anything: what it shows is counted at the doors or read from published views when somebody looks.
package http

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// closePatience is how long Close waits for who is being answered: a profile takes half a minute.
const closePatience = time.Second

// Server answers operators.
type Server struct {
	listener net.Listener
	server   *http.Server
	unready  atomic.Pointer[string] // why the broker does not serve; nil: it does
}

// Listen opens the address, "host:port" with port 0 for a free one, and answers at once: /readyz with 503 until Ready.
// With profile, /debug/pprof shows where the process spends its time and memory.
func Listen(address string, metrics prometheus.Gatherer, profile bool) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("http.listener=%s: another process listens there: stop it, or choose another address with --http", address)
	}
	if err != nil {
		return nil, fmt.Errorf("http.listener=%s: %w: write HOST:PORT with an address of this machine", address, err)
	}
	s := &Server{listener: l}
	s.Unready("starting")
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", s.readyz)
	if profile {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16}
	go s.server.Serve(l)
	return s, nil
}

// Address is where it listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Ready says that the broker serves its clients.
func (s *Server) Ready() { s.unready.Store(nil) }

// Unready says that the broker does not serve its clients, and why: "stopping".
func (s *Server) Unready(why string) { s.unready.Store(&why) }

// Close stops answering and waits a moment for those who are being answered; then it hangs up on them.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	if err := s.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return s.server.Close()
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if why := s.unready.Load(); why != nil {
		say(w, http.StatusServiceUnavailable, "not ready: "+*why)
		return
	}
	say(w, http.StatusOK, "ready")
}

func say(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, sentence)
}
