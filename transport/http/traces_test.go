package http

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestNothingIsTracedWithoutAnEndpoint(t *testing.T) {
	if traces, err := Trace("", 1, 1); traces != nil || err != nil {
		t.Errorf("%v, %v", traces, err)
	}
	if _, err := Trace("localhost:4318", 1, 1); err == nil || !strings.Contains(err.Error(), "http://localhost:4318") {
		t.Errorf("an endpoint that is no URL: %v", err)
	}
}

func TestSpansReachTheCollector(t *testing.T) {
	bodies := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.URL.Path + string(body)
	}))
	defer collector.Close()
	traces, err := Trace(collector.URL, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	traced, end := traces.Begin("Produce", now)
	traces.Within(traced, "commit", now, now.Add(time.Millisecond))
	end(now.Add(2 * time.Millisecond))
	traces.Close(slog.New(slog.DiscardHandler))
	body := <-bodies
	for _, want := range []string{"/v1/traces", "Produce", "commit", string(traced.ID[:]), "troupe.node"} {
		if !strings.Contains(body, want) {
			t.Errorf("what was sent lacks %q", want)
		}
	}
}

func TestWhatIsNotSampledIsNotTraced(t *testing.T) {
	traces, err := Trace("http://127.0.0.1:1", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if traced, end := traces.Begin("Produce", time.Now()); end != nil || traced.ID != [16]byte{} {
		t.Errorf("%v is traced", traced)
	}
	traces.Close(slog.New(slog.DiscardHandler))
}
