package http

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/troupe-broker/troupe/actors/message"
)

// Traces are spans on their way to a collector, over OTLP.
type Traces struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Trace begins to send spans to the endpoint ("http://localhost:4318"), of the share of requests that ratio says. With
// an empty endpoint nothing is traced, and there are no Traces.
func Trace(endpoint string, ratio float64, node message.NodeID) (*Traces, error) {
	if endpoint == "" {
		return nil, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("otel.endpoint=%s: write a URL, like http://localhost:4318", endpoint)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(u.String()))
	if err != nil {
		return nil, fmt.Errorf("otel.endpoint=%s: %w", endpoint, err)
	}
	self := resource.NewSchemaless(attribute.String("service.name", "troupe"), attribute.Int("troupe.node", int(node)))
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(self), sdk.WithSampler(sdk.TraceIDRatioBased(ratio)))
	return &Traces{provider: provider, tracer: provider.Tracer("troupe")}, nil
}

// Begin opens a span; the zero Trace, if it is not one of those that are sampled. end closes it.
func (t *Traces) Begin(name string, at time.Time) (traced message.Trace, end func(at time.Time)) {
	_, span := t.tracer.Start(context.Background(), name, trace.WithTimestamp(at))
	if !span.SpanContext().IsSampled() {
		span.End()
		return message.Trace{}, nil
	}
	own := span.SpanContext()
	return message.Trace{ID: own.TraceID(), Parent: own.SpanID()}, func(at time.Time) { span.End(trace.WithTimestamp(at)) }
}

// Within notes what was done for a request between two moments, as a span below the request's (message.Spans).
func (t *Traces) Within(traced message.Trace, name string, from, to time.Time) {
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: traced.ID, SpanID: traced.Parent, TraceFlags: trace.FlagsSampled, Remote: true})
	_, span := t.tracer.Start(trace.ContextWithSpanContext(context.Background(), parent), name, trace.WithTimestamp(from))
	span.End(trace.WithTimestamp(to))
}

// Close sends what is left, for a moment.
func (t *Traces) Close(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		log.Warn("the last traces could not be sent", "error", err)
	}
}
