package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func newTxn() *cobra.Command {
	return group("txn", "List and describe transactions, find those that hang, and abort them", `  troupe txn list --state Ongoing
  troupe txn hanging
  troupe txn abort orders:0 --start-offset 4711`,
		newTxnList(), newTxnDescribe(), newTxnHanging(), newTxnAbort())
}

// txnRow is a transactional id in a list.
type txnRow struct {
	ID          string `json:"transactional_id"`
	State       string `json:"state"`
	Producer    int64  `json:"producer_id"`
	Coordinator int32  `json:"coordinator"` // a node
}

func newTxnList() *cobra.Command {
	var b broker
	var p printer
	var states []string
	var producers []int64
	var pattern string
	c := &cobra.Command{
		Use: "list", Short: "List transactional ids with state, producer and coordinator", Args: cobra.NoArgs,
		Example: `  troupe txn list
  troupe txn list --state Ongoing --pattern 'billing-.*' --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			return b.admin(c.Context(), func(a *kadm.Client) error {
				listed, err := a.ListTransactionsByTxPattern(c.Context(), producers, states, pattern)
				if err != nil {
					return err
				}
				rows := []txnRow{}
				for _, l := range listed.Sorted() {
					rows = append(rows, txnRow{l.TxnID, l.State, l.ProducerID, l.Coordinator})
				}
				return p.print(c.OutOrStdout(), rows, "TRANSACTIONAL-ID STATE PRODUCER COORDINATOR", func(row func(...any)) {
					for _, r := range rows {
						row(r.ID, r.State, r.Producer, r.Coordinator)
					}
				})
			})
		},
	}
	b.flag(c)
	p.flag(c)
	c.Flags().StringSliceVar(&states, "state", nil, "only in these `states`: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort")
	c.Flags().Int64SliceVar(&producers, "producer", nil, "only of these producer `ids`")
	c.Flags().StringVar(&pattern, "pattern", "", "only what this `regular expression` matches as a whole")
	return c
}

// txnSheet is everything about a transactional id.
type txnSheet struct {
	txnRow
	Epoch         int16              `json:"producer_epoch"`
	TimeoutMillis int32              `json:"timeout_ms"`
	Started       *time.Time         `json:"started"`    // of the newest transaction; null: there was none
	Partitions    map[string][]int32 `json:"partitions"` // that take part, and have not been told its end
}

func newTxnDescribe() *cobra.Command {
	var b broker
	var p printer
	c := &cobra.Command{
		Use: "describe TRANSACTIONAL-ID...", Short: "Show transactional ids with producer, epoch, age and partitions", Args: cobra.MinimumNArgs(1),
		Example: `  troupe txn describe billing-0
  troupe txn describe billing-0 billing-1 --json`,
		RunE: func(c *cobra.Command, ids []string) error {
			return b.admin(c.Context(), func(a *kadm.Client) error {
				told, err := a.DescribeTransactions(c.Context(), ids...)
				if err != nil {
					return err
				}
				sheets := []txnSheet{}
				bad := eachTopic(c, ids, func(id string) error {
					d, ok := told[id]
					if !ok {
						return errors.New("the broker has said nothing about it")
					}
					if d.Err == nil {
						sheets = append(sheets, txnSheetOf(d))
					}
					return d.Err
				})
				return cmp.Or(txnTable(c, &p, sheets), bad)
			})
		},
	}
	b.flag(c)
	p.flag(c)
	return c
}

func txnSheetOf(d kadm.DescribedTransaction) txnSheet {
	s := txnSheet{txnRow: txnRow{d.TxnID, d.State, d.ProducerID, d.Coordinator}, Epoch: d.ProducerEpoch, TimeoutMillis: d.TimeoutMillis, Partitions: map[string][]int32{}}
	if d.StartTimestamp >= 0 {
		at := time.UnixMilli(d.StartTimestamp).UTC()
		s.Started = &at
	}
	for _, t := range d.Topics.Sorted() {
		s.Partitions[t.Topic] = t.Partitions
	}
	return s
}

func txnTable(c *cobra.Command, p *printer, sheets []txnSheet) error {
	return p.print(c.OutOrStdout(), sheets, "TRANSACTIONAL-ID STATE PRODUCER EPOCH COORDINATOR TIMEOUT STARTED PARTITIONS", func(row func(...any)) {
		for _, s := range sheets {
			started := "-"
			if s.Started != nil {
				started = s.Started.Format(time.RFC3339)
			}
			row(s.ID, s.State, s.Producer, s.Epoch, s.Coordinator, time.Duration(s.TimeoutMillis)*time.Millisecond, started, dash(named(s.Partitions)))
		}
	})
}

// named are partitions as TOPIC:1,2 TOPIC:0.
func named(partitions map[string][]int32) (text string) {
	for _, topic := range slices.Sorted(maps.Keys(partitions)) {
		if text != "" {
			text += " "
		}
		text += topic + ":" + list32(partitions[topic])
	}
	return text
}

// openRow is a transaction that is open in a partition.
type openRow struct {
	Topic            string    `json:"topic"`
	Partition        int32     `json:"partition"`
	Producer         int64     `json:"producer_id"`
	Epoch            int16     `json:"producer_epoch"`
	StartOffset      int64     `json:"start_offset"`
	LastWritten      time.Time `json:"last_written"`
	CoordinatorEpoch int32     `json:"coordinator_epoch"` // -1: no marker of the producer was ever written here
}

func newTxnHanging() *cobra.Command {
	var b broker
	var p printer
	older := 15 * time.Minute
	c := &cobra.Command{
		Use: "hanging [TOPIC...]", Short: "Find transactions that are open in a partition and that no coordinator will end",
		Long: `Find transactions that are open in a partition and that no coordinator will end. They hold back whoever reads what is committed;
troupe txn abort ends them. Without topics all are looked at.`,
		Example: `  troupe txn hanging
  troupe txn hanging orders --older 1h --json`,
		RunE: func(c *cobra.Command, topics []string) error {
			return b.admin(c.Context(), func(a *kadm.Client) error {
				rows, err := hanging(c.Context(), a, topics, older)
				if err != nil {
					return err
				}
				return p.print(c.OutOrStdout(), rows, "TOPIC PARTITION START-OFFSET PRODUCER EPOCH LAST-WRITTEN", func(row func(...any)) {
					for _, r := range rows {
						row(r.Topic, r.Partition, r.StartOffset, r.Producer, r.Epoch, r.LastWritten.Format(time.RFC3339))
					}
				})
			})
		},
	}
	b.flag(c)
	p.flag(c)
	c.Flags().DurationVar(&older, "older", older, "only those to which nothing was written for so long: no less than the longest time-out of a transaction")
	return c
}

// hanging are the transactions that are open in partitions, but for those of which a coordinator knows.
func hanging(ctx context.Context, a *kadm.Client, topics []string, older time.Duration) ([]openRow, error) {
	wanted := kadm.TopicsSet{}
	for _, t := range topics {
		wanted.Add(t)
	}
	open, err := openTxns(ctx, a, wanted)
	if err != nil {
		return nil, err
	}
	open = slices.DeleteFunc(open, func(r openRow) bool { return time.Since(r.LastWritten) < older })
	if len(open) == 0 {
		return []openRow{}, nil
	}
	known, err := coordinated(ctx, a, open)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(open, func(r openRow) bool {
		return slices.ContainsFunc(known, func(d kadm.DescribedTransaction) bool {
			return d.ProducerID == r.Producer && d.Topics.Lookup(r.Topic, r.Partition)
		})
	}), nil
}

// openTxns are the transactions that are open in partitions, by partition.
func openTxns(ctx context.Context, a *kadm.Client, in kadm.TopicsSet) (open []openRow, err error) {
	told, err := a.DescribeProducers(ctx, in)
	if err != nil {
		return nil, err
	}
	for _, p := range told.SortedPartitions() {
		if p.Err != nil {
			return nil, fmt.Errorf("%s:%d: %w", p.Topic, p.Partition, p.Err)
		}
	}
	for _, d := range told.SortedProducers() {
		if d.CurrentTxnStartOffset >= 0 {
			open = append(open, openRow{d.Topic, d.Partition, d.ProducerID, d.ProducerEpoch, d.CurrentTxnStartOffset, time.UnixMilli(d.LastTimestamp).UTC(), d.CoordinatorEpoch})
		}
	}
	return open, nil
}

// coordinated are the transactions of producers, as their coordinators know them.
func coordinated(ctx context.Context, a *kadm.Client, of []openRow) (known []kadm.DescribedTransaction, err error) {
	var producers []int64
	for _, r := range of {
		producers = append(producers, r.Producer)
	}
	listed, err := a.ListTransactions(ctx, producers, nil)
	if err != nil || len(listed) == 0 {
		return nil, err
	}
	told, err := a.DescribeTransactions(ctx, listed.TransactionalIDs()...)
	if err != nil {
		return nil, err
	}
	for _, d := range told.Sorted() {
		if d.Err != nil && !errors.Is(d.Err, kerr.TransactionalIDNotFound) {
			return nil, fmt.Errorf("%s: %w", d.TxnID, d.Err)
		}
		known = append(known, d)
	}
	return known, nil
}

func newTxnAbort() *cobra.Command {
	var b broker
	var p printer
	start, producer := int64(-1), int64(-1)
	c := &cobra.Command{
		Use: "abort TOPIC:PARTITION", Short: "Abort a transaction in one partition, behind its coordinator's back", Args: cobra.ExactArgs(1),
		Long: `Abort a transaction in one partition, behind its coordinator's back, as kafka-transactions.sh abort does. It is meant for what
troupe txn hanging shows: a transaction whose coordinator knows of it comes to its end by itself, and is torn by this.`,
		Example: `  troupe txn abort orders:0 --start-offset 4711
  troupe txn abort orders:0 --producer 12`,
		RunE: func(c *cobra.Command, args []string) error {
			topic, index, err := partitionNamed(args[0])
			if err != nil {
				return err
			}
			if (start < 0) == (producer < 0) {
				return usagef("say either --start-offset or --producer, as troupe txn hanging shows them")
			}
			return b.admin(c.Context(), func(a *kadm.Client) error {
				one, err := openIn(c.Context(), a, topic, index, func(r openRow) bool { return r.StartOffset == start || r.Producer == producer })
				if err != nil {
					return err
				}
				if err := abortTxn(c.Context(), a, one); err != nil {
					return err
				}
				p.say(c.OutOrStdout(), "aborted the transaction of producer %d that began at offset %d of %s:%d\n", one.Producer, one.StartOffset, topic, index)
				return p.tell(c.OutOrStdout(), one)
			})
		},
	}
	b.flag(c)
	p.flag(c)
	c.Flags().Int64Var(&start, "start-offset", -1, "the `offset` at which the transaction began in the partition")
	c.Flags().Int64Var(&producer, "producer", -1, "the `id` of its producer")
	return c
}

// partitionNamed reads TOPIC:PARTITION.
func partitionNamed(text string) (topic string, index int32, err error) {
	for at := len(text) - 1; at > 0; at-- {
		if text[at] != ':' {
			continue
		}
		n, err := strconv.ParseInt(text[at+1:], 10, 32)
		if err != nil || n < 0 {
			break
		}
		return text[:at], int32(n), nil
	}
	return "", 0, usagef("%s: write TOPIC:PARTITION, for example orders:0", text)
}

// openIn is the only transaction of a kind that is open in a partition.
func openIn(ctx context.Context, a *kadm.Client, topic string, index int32, is func(openRow) bool) (openRow, error) {
	in := kadm.TopicsSet{}
	in.Add(topic, index)
	open, err := openTxns(ctx, a, in)
	if err != nil {
		return openRow{}, err
	}
	i := slices.IndexFunc(open, is)
	if i < 0 {
		return openRow{}, fmt.Errorf("no such transaction is open in %s:%d: see 'troupe txn hanging %s --older 0s'", topic, index, topic)
	}
	return open[i], nil
}

func abortTxn(ctx context.Context, a *kadm.Client, r openRow) error {
	in := kadm.TopicsSet{}
	in.Add(r.Topic, r.Partition)
	told, err := a.WriteTxnMarkers(ctx, kadm.TxnMarkers{ProducerID: r.Producer, ProducerEpoch: r.Epoch, CoordinatorEpoch: max(r.CoordinatorEpoch, 0), Topics: in})
	if err != nil {
		return err
	}
	answered := false
	told.EachPartition(func(p kadm.TxnMarkersPartitionResponse) {
		if answered = true; err == nil {
			err = p.Err
		}
	})
	if !answered {
		return fmt.Errorf("the broker has said nothing about %s:%d", r.Topic, r.Partition)
	}
	return err
}
