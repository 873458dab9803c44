package check

import "fmt"

// Chain is what is known of a chain of transactions: a source writes numbers into one topic, links copy them into another, each with
// how far it has read, and readers of what is committed see both. Every number is written once.
type Chain struct {
	Name       string
	Partitions int
	history    *History
	txns       []*Txn
	of         map[int64]*Txn
	floors     []int64 // how far links have read, as their commits were acknowledged
	in, out    []*shown
	closed     bool // the source makes no more transactions
}

// shown is what a reader of committed records has seen of a partition, in order.
type shown struct {
	numbers []int64
	seen    map[int64]bool
	same    int // so many agree with the other topic
}

// Txn is one transaction of the source.
type Txn struct {
	chain   *Chain
	number  int
	records map[int64]int // number to partition
	asked   bool          // it was asked to be committed
	ended   bool          // and that was acknowledged
	shown   int           // so many of its records were seen
}

// Chain is the chain of that name, a new one over so many partitions if nobody has spoken of it.
func (h *History) Chain(name string, partitions int) *Chain {
	for _, c := range h.chains {
		if c.Name == name {
			return c
		}
	}
	c := &Chain{Name: name, Partitions: partitions, history: h, of: map[int64]*Txn{}, floors: make([]int64, partitions)}
	for range partitions {
		c.in, c.out = append(c.in, &shown{seen: map[int64]bool{}}), append(c.out, &shown{seen: map[int64]bool{}})
	}
	h.chains = append(h.chains, c)
	return c
}

// Begin notes a transaction of the source.
func (c *Chain) Begin() *Txn {
	t := &Txn{chain: c, number: len(c.txns), records: map[int64]int{}}
	c.txns = append(c.txns, t)
	return t
}

// Write is the number of another record of the transaction.
func (t *Txn) Write(partition int) int64 {
	n := int64(len(t.chain.of))
	t.records[n], t.chain.of[n] = partition, t
	return n
}

// String is "transaction 3 (5 records)".
func (t *Txn) String() string {
	return fmt.Sprintf("transaction %d (%d records)", t.number, len(t.records))
}

// Asked notes that it is about to be asked to be committed; until then, and if it is not, nobody may see anything of it.
func (t *Txn) Asked() { t.asked = true }

// Committed notes that this was acknowledged.
func (t *Txn) Committed() { t.ended = true }

// Closed notes that the source makes no more transactions.
func (c *Chain) Closed() { c.closed = true }

// Over says so.
func (c *Chain) Over() bool { return c.closed }

// Floor is how far a partition was read at least when a link asks.
func (c *Chain) Floor(partition int) int64 { return c.floors[partition] }

// Read notes that a link's commit was acknowledged.
func (c *Chain) Read(partition int, offset int64) {
	c.floors[partition] = max(c.floors[partition], offset)
}

// Fetched checks from where a link is told to go on that asked when the floor was that.
func (c *Chain) Fetched(link string, partition int, floor, offset int64) {
	if offset < floor {
		c.history.Fail(TxnOffsetsStay, "Chain %s: %s is told to read partition %d from %d on, and up to %d it was read in transactions whose commit was acknowledged.", c.Name, link, partition, offset, floor)
	}
}

// Taken checks what a link reads, which waits for what is committed.
func (c *Chain) Taken(partition int, numbers []int64) {
	for _, n := range numbers {
		c.may(partition, n)
	}
}

// may asks whether somebody may see a number in the first topic.
func (c *Chain) may(partition int, n int64) *Txn {
	t := c.of[n]
	switch {
	case t == nil:
		c.history.Fail(BytesAreKept, "Chain %s: nobody has written %d, which is in partition %d.", c.Name, n, partition)
		return nil
	case t.records[n] != partition:
		c.history.Fail(BytesAreKept, "Chain %s: %d was written to partition %d and is in %d.", c.Name, n, t.records[n], partition)
		return nil
	case !t.asked:
		c.history.Fail(UnaskedUnseen, "Chain %s: %d in partition %d is of transaction %d, which nobody has asked to commit.", c.Name, n, partition, t.number)
		return nil
	}
	return t
}

// SawIn notes what a reader has found next in the first topic.
func (c *Chain) SawIn(partition int, numbers []int64) {
	at := c.in[partition]
	for _, n := range numbers {
		if t := c.may(partition, n); t != nil && c.once(at, "in", partition, n) {
			t.shown++
		}
	}
	c.compare(partition)
}

// SawOut notes what it has found next in the second one.
func (c *Chain) SawOut(partition int, numbers []int64) {
	for _, n := range numbers {
		c.once(c.out[partition], "out", partition, n)
	}
	c.compare(partition)
}

func (c *Chain) once(at *shown, topic string, partition int, n int64) bool {
	if at.seen[n] {
		c.history.Fail(ExactlyOnce, "Chain %s: %d is twice in partition %d of %s.", c.Name, n, partition, topic)
		return false
	}
	at.seen[n] = true
	at.numbers = append(at.numbers, n)
	return true
}

// compare asks that what came out is what went in, in order, as far as both are known.
func (c *Chain) compare(partition int) {
	in, out := c.in[partition], c.out[partition]
	for ; out.same < min(len(in.numbers), len(out.numbers)); out.same++ {
		if a, b := in.numbers[out.same], out.numbers[out.same]; a != b {
			c.history.Fail(ExactlyOnce, "Chain %s: record %d of partition %d is %d in the first topic and %d in the second.", c.Name, out.same, partition, a, b)
			return
		}
	}
}

// Whole checks what a reader has seen that has read the first topic to its end, when nothing comes to it any more. It says what is missing
// yet from the second one.
func (c *Chain) Whole() string {
	for _, t := range c.txns {
		switch {
		case t.ended && t.shown < len(t.records):
			c.history.Fail(TxnIsKept, "Chain %s: of transaction %d, whose commit was acknowledged, %d of %d records are there.", c.Name, t.number, t.shown, len(t.records))
		case t.shown > 0 && t.shown < len(t.records):
			c.history.Fail(TxnIsWhole, "Chain %s: of transaction %d, %d of %d records are there.", c.Name, t.number, t.shown, len(t.records))
		}
	}
	for p := range c.in {
		if in, out := len(c.in[p].numbers), len(c.out[p].numbers); out != in {
			return fmt.Sprintf("of %d records in partition %d there are %d in the second topic", in, p, out)
		}
	}
	return ""
}
