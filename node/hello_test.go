package node

import (
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"github.com/troupe-broker/troupe/actors/message"
)

func TestHelloIsBelievedOnlyWithTheSecret(t *testing.T) {
	h := &hello{Node: 2, Incarnation: "i", Address: "a:1", Expect: 3, Promise: &promise{"c", []message.NodeID{1, 2, 3}, make([]message.TopicID, 3)}, Known: []string{"b:1"}}
	line, err := h.seal("secret", "nonce", asking)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unseal(line, "secret", "nonce", asking); err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, wrong := range [][3]string{{"other", "nonce", asking}, {"secret", "older", asking}, {"secret", "nonce", answering}} {
		if _, err := unseal(line, wrong[0], wrong[1], wrong[2]); !errors.Is(err, errSecret) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestGreetingsTellMembersFromGuests(t *testing.T) {
	if nonce, m, err := greeting("TROUPE 2 abc\r\n"); nonce != "abc" || m != nil || err != nil {
		t.Error(nonce, m, err)
	}
	if _, m, err := greeting(`INFO {"server_id":"X","server_name":"troupe-12-abc","cluster":"cid"}`); err != nil || *m != (member{12, "cid"}) {
		t.Error(m, err)
	}
	for _, line := range []string{"", "HTTP/1.1 400 Bad Request", "TROUPE 1 abc", "TROUPE 2 ", "INFO {", `INFO {"server_name":"n1","cluster":"c"}`, `INFO {"server_name":"troupe-1-a"}`} {
		if nonce, m, err := greeting(line); err == nil {
			t.Errorf("%q: %q %v", line, nonce, m)
		}
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add("TROUPE 2 abc")
	f.Add(`INFO {"server_name":"troupe-1-a","cluster":"c"}`)
	f.Fuzz(func(t *testing.T, line string) {
		if nonce, m, err := greeting(line); err == nil && (nonce == "") == (m == nil) {
			t.Errorf("%q is neither a guest nor a member", line)
		}
	})
}

func FuzzUnseal(f *testing.F) {
	line, _ := (&hello{Node: 1, Promise: &promise{"c", []message.NodeID{1}, make([]message.TopicID, 1)}}).seal("", "", asking)
	f.Add(line)
	f.Fuzz(func(t *testing.T, text string) {
		// The secret's check would hide everything behind it: the text is sealed as it is.
		h, err := unseal(sealText(text), "", "", asking)
		if err == nil && (h.Node < 0 || h.Promise != nil && len(h.Promise.Voters) == 0) {
			t.Errorf("%q: %+v", text, h)
		}
		_, _ = unseal(text, "", "", asking)
	})
}

func sealText(text string) string {
	return hex.EncodeToString(mac("", "", asking, []byte(text))) + " " + text
}
