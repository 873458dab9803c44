package partition

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTheQueueIsASortedList compares the queue with a list that is sorted after each push: what ends first goes first,
// and of those that end together the first to come.
func TestTheQueueIsASortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, list, next := queue{}, []parked(nil), int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				p := parked{end: max(0, next-rapid.Int64Range(0, 3).Draw(t, "back")), base: next}
				next++
				q.push(p)
				list = append(list, p)
				slices.SortStableFunc(list, func(a, b parked) int { return int(a.end - b.end) })
			},
			"pop": func(t *rapid.T) {
				end := next - rapid.Int64Range(0, 5).Draw(t, "below")
				for p, ok := q.pop(end); ok; p, ok = q.pop(end) {
					if len(list) == 0 || p != list[0] {
						t.Fatalf("%+v came, %+v was due", p, list)
					}
					list = list[1:]
				}
				if len(list) > 0 && list[0].end <= end {
					t.Fatalf("%+v was kept back", list[0])
				}
			},
		})
	})
}

func TestAQueueThatIsNeverEmptyStaysSmall(t *testing.T) {
	q := queue{}
	for i := range int64(100_000) {
		q.push(parked{end: i})
		q.pop(i - 10)
	}
	if cap(q.items) > 64 {
		t.Errorf("%d places for 10 items", cap(q.items))
	}
}
