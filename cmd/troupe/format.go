package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// formatOf reads what --format takes.
func formatOf(text string) (format, error) {
	switch text {
	case "value":
		return writeValue, nil
	case "key-value":
		return compile(`%k\t%v\n`)
	case "json":
		return writeJSON, nil
	}
	return compile(text)
}

func writeValue(w io.Writer, r *kgo.Record) error {
	_, err := w.Write(r.Value)
	if err == nil {
		_, err = io.WriteString(w, "\n")
	}
	return err
}

// jsonRecord is a record as JSON. Bytes that are no text are given as base64 under another name.
type jsonRecord struct {
	Topic     string       `json:"topic"`
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Timestamp int64        `json:"timestamp"` // milliseconds since 1970
	Key       *string      `json:"key"`
	KeyB64    string       `json:"key_base64,omitempty"`
	Value     *string      `json:"value"`
	ValueB64  string       `json:"value_base64,omitempty"`
	Headers   []jsonHeader `json:"headers,omitempty"`
}

type jsonHeader struct {
	Name     string  `json:"name"`
	Value    *string `json:"value"`
	ValueB64 string  `json:"value_base64,omitempty"`
}

func writeJSON(w io.Writer, r *kgo.Record) error {
	j := jsonRecord{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli()}
	j.Key, j.KeyB64 = text(r.Key)
	j.Value, j.ValueB64 = text(r.Value)
	for _, h := range r.Headers {
		value, b64 := text(h.Value)
		j.Headers = append(j.Headers, jsonHeader{h.Key, value, b64})
	}
	return json.NewEncoder(w).Encode(j)
}

// text is bytes as a string, or as base64 where they are none; nil bytes are null.
func text(b []byte) (plain *string, b64 string) {
	switch {
	case b == nil:
		return nil, ""
	case !utf8.Valid(b):
		return nil, base64.StdEncoding.EncodeToString(b)
	}
	s := string(b)
	return &s, ""
}

// piece appends a part of the line.
type piece func(line []byte, r *kgo.Record) []byte

var verbs = map[byte]piece{
	'k': func(l []byte, r *kgo.Record) []byte { return append(l, r.Key...) },
	'v': func(l []byte, r *kgo.Record) []byte { return append(l, r.Value...) },
	'n': func(l []byte, r *kgo.Record) []byte { return append(l, r.Topic...) },
	'p': func(l []byte, r *kgo.Record) []byte { return strconv.AppendInt(l, int64(r.Partition), 10) },
	'o': func(l []byte, r *kgo.Record) []byte { return strconv.AppendInt(l, r.Offset, 10) },
	't': func(l []byte, r *kgo.Record) []byte { return strconv.AppendInt(l, r.Timestamp.UnixMilli(), 10) },
	'T': func(l []byte, r *kgo.Record) []byte { return r.Timestamp.UTC().AppendFormat(l, time.RFC3339Nano) },
	'%': func(l []byte, _ *kgo.Record) []byte { return append(l, '%') },
	'h': func(l []byte, r *kgo.Record) []byte {
		for i, h := range r.Headers {
			if i > 0 {
				l = append(l, ',')
			}
			l = fmt.Appendf(l, "%s=%s", h.Key, h.Value)
		}
		return l
	},
}

var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '0': 0, '\\': '\\'}

// compile reads a template.
func compile(template string) (format, error) {
	var pieces []piece
	for i := 0; i < len(template); i++ {
		ch := template[i]
		if (ch == '%' || ch == '\\') && i+1 == len(template) {
			return nil, usagef("--format: %q ends in the middle", template)
		}
		switch ch {
		case '%':
			i++
			verb, ok := verbs[template[i]]
			if !ok {
				return nil, usagef("--format: there is no %%%c: see --help for those there are", template[i])
			}
			pieces = append(pieces, verb)
			continue
		case '\\':
			i++
			escaped, ok := escapes[template[i]]
			if !ok {
				return nil, usagef(`--format: there is no \%c: write \n, \t, \r, \0 or \\`, template[i])
			}
			ch = escaped
		}
		pieces = append(pieces, func(l []byte, _ *kgo.Record) []byte { return append(l, ch) })
	}
	var line []byte
	return func(w io.Writer, r *kgo.Record) error {
		line = line[:0]
		for _, p := range pieces {
			line = p(line, r)
		}
		_, err := w.Write(line)
		return err
	}, nil
}
