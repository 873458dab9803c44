package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// town is a cluster of four nodes, of which 3 is fenced and 4 is only known from partitions.
func town() *picture {
	p := &picture{Cluster: "c", Controller: 1, Term: 7, Nodes: []member{
		{Node: 2, Address: "two:9092", Rack: "b", State: alive}, {Node: 1, Address: "one:9092", Rack: "a", State: alive, Role: "leader"}, {Node: 3, Address: "three:9092", Rack: "c", State: fenced}}}
	p.all = []spread{
		{Topic: "t", Partition: 0, Leader: 1, Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2}},
		{Topic: "t", Partition: 1, Leader: 2, Replicas: []int32{2, 1}, ISR: []int32{2, 1}},
		{Topic: "u", Partition: 0, Leader: -1, Replicas: []int32{4}, ISR: []int32{4}},
		{Topic: "v", Partition: 0, Leader: 1, Replicas: []int32{2, 1}, ISR: []int32{1}, Adding: []int32{2}, Removing: []int32{1}},
	}
	p.count()
	return p
}

func TestAPictureIsCounted(t *testing.T) {
	p := town()
	if p.Topics != 3 || p.Partitions != 4 || p.UnderReplicated != 1 || p.Leaderless != 1 || p.Moving != 1 || len(p.Troubled) != 2 {
		t.Errorf("%+v", p)
	}
	want := []member{
		{Node: 1, Address: "one:9092", Rack: "a", State: alive, Role: "leader", Leads: 2, Replicas: 3},
		{Node: 2, Address: "two:9092", Rack: "b", State: alive, Leads: 1, Replicas: 3},
		{Node: 3, Address: "three:9092", Rack: "c", State: fenced, Replicas: 1, OutOfSync: 1},
		{Node: 4, State: gone, Replicas: 1},
	}
	if !slices.Equal(p.Nodes, want) {
		t.Errorf("%+v", p.Nodes)
	}
}

const screen = `cluster c  controller 1 (term 7)

NODE  ADDRESS     RACK  STATE   ROLE    LEADS  REPLICAS  OUT-OF-SYNC
1     one:9092    a     alive   leader  2      3         0
2     two:9092    b     alive   -       1      3         0
3     three:9092  c     fenced  -       0      1         1
4     -           -     gone    -       0      1         0

topics 3  partitions 4  under-replicated 1  without a leader 1  moving 1

PARTITION  LEADER  EPOCH  REPLICAS  IN-SYNC  ADDING  REMOVING
t/0        1       0      1,2,3     1,2      -       -
u/0        none    0      4         4        -       -
`

func TestAPictureIsDrawn(t *testing.T) {
	var plain, coloured bytes.Buffer
	if err := town().draw(&plain, false); err != nil || plain.String() != screen {
		t.Errorf("%v\n%s", err, plain.String())
	}
	if err := town().draw(&coloured, true); err != nil {
		t.Fatal(err)
	}
	text := coloured.String()
	if n := strings.Count(text, "\x1b["+red+"m"); n != 3 { // two nodes, and the summary
		t.Errorf("%d lines are red in\n%s", n, text)
	}
	for _, code := range []string{red, green, bold, "0"} {
		text = strings.ReplaceAll(text, "\x1b["+code+"m", "")
	}
	if text != screen {
		t.Errorf("without colour it is\n%s", text)
	}
}

func TestOneScreenIsEnough(t *testing.T) {
	p := town()
	for range 50 {
		p.all = append(p.all, spread{Topic: "w", Leader: -1})
	}
	p.Troubled = p.all
	var out bytes.Buffer
	if err := p.draw(&out, false); err != nil || strings.Count(out.String(), "\n") > 24 || !strings.Contains(out.String(), "and 44 more") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// While a cluster does not answer, who watches it is told so and sees it again afterwards.
func TestWatchingGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	looks := 0
	var out bytes.Buffer
	err := repeat(ctx, time.Millisecond, &out, func(_ context.Context, screen io.Writer) error {
		if looks++; looks == 2 {
			return errors.New("nobody is there")
		}
		if looks == 4 {
			cancel()
		}
		fmt.Fprintf(screen, "look %d\n", looks)
		return nil
	})
	if want := "look 1\nno answer: nobody is there\nlook 3\n"; err != nil || out.String() != want {
		t.Errorf("%v: %q, not %q", err, out.String(), want)
	}
}
