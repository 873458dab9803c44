package timeline

import (
	"bytes"
	"strings"
	"testing"
)

// A page names every lane, draws every line and escapes what clients say.
func TestPage(t *testing.T) {
	page := New("seed 1")
	page.What = "It broke."
	for _, line := range []string{"   0.100000 node 1 starts", "   0.200000 fault: power <b>", "   0.300000 producer-0: a batch", "   0.400000 state topic-0/1 end=4"} {
		page.Line(line)
	}
	var b bytes.Buffer
	if err := page.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"producer-0", "topic-0/1", "It broke.", `x="1000.00"`, "power &lt;b&gt;"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	if n := strings.Count(b.String(), "<rect"); n != 4 {
		t.Errorf("%d marks, want 4", n)
	}
}
