package kafka

import (
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/message"
	"github.com/troupe-broker/troupe/actors/stage"
)

// ListTransactions lists the transactional ids of which this broker is the coordinator, and no others (L9, S98). v1 chooses those that are
// open for long (KIP-994), v2 those that a pattern matches as a whole (KIP-1152).
var listTransactionsAPI = api{key: 66, min: 0, max: 2, start: decoded(onListTransactions), shape: "[s] [8] 8@1+ s@2+"}

func onListTransactions(c stage.Context, r *Request, q *kmsg.ListTransactionsRequest) {
	pattern, err := wholePattern(value(q.TransactionalIDPattern))
	if err != nil {
		resp := kmsg.NewPtrListTransactionsResponse()
		resp.ErrorCode = int16(message.InvalidRegularExpression)
		r.Answer(c, resp)
		return
	}
	ask := &message.ListTransactions{Producers: q.ProducerIDFilters, States: q.StateFilters, Longer: -1}
	if r.Version >= 1 && q.DurationFilterMillis >= 0 {
		ask.Longer = time.Duration(min(q.DurationFilterMillis, longestMillis)) * time.Millisecond
	}
	at := r.coordinators(txnTopic)
	lists := make([][]message.ListedTransaction, len(at))
	trouble := message.OK
	g := gathering(func(c stage.Context) { r.Answer(c, transactionsListed(q, lists, trouble, pattern)) })
	for i := range at {
		g.left++
		askCoordinator(c, r, at[i], ask, coordinatorPatience, message.CoordinatorNotAvailable, func(c stage.Context, listed *message.TransactionsListed, code message.Code) {
			if code == message.OK {
				lists[i] = listed.Transactions
			} else {
				trouble = either(trouble, unlisted(r, c, at[i], code))
			}
			g.arrived(c)
		})
	}
	g.begin(c)
}

// longestMillis is as long as a duration can be.
const longestMillis = int64((1<<63 - 1) / time.Millisecond)

// wholePattern is a pattern of RE2, as Kafka has it, that is to match all of a text. Without a text it is nil and matches everything.
func wholePattern(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	if _, err := regexp.Compile(text); err != nil {
		return nil, err
	}
	return regexp.Compile(`^(?:` + text + `)$`)
}

func transactionsListed(q *kmsg.ListTransactionsRequest, lists [][]message.ListedTransaction, trouble message.Code, pattern *regexp.Regexp) *kmsg.ListTransactionsResponse {
	resp := kmsg.NewPtrListTransactionsResponse()
	if resp.ErrorCode = int16(trouble); trouble != message.OK {
		return resp
	}
	for _, state := range q.StateFilters {
		if !slices.Contains(message.TransactionStates(), state) {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, state)
		}
	}
	for _, l := range slices.Concat(lists...) {
		if pattern == nil || pattern.MatchString(l.TransactionalID) {
			resp.TransactionStates = append(resp.TransactionStates, kmsg.ListTransactionsResponseTransactionState{TransactionalID: l.TransactionalID,
				ProducerID: l.Producer, TransactionState: l.State})
		}
	}
	return resp
}
