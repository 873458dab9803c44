// Package kafka is the door for Kafka clients: a TCP listener, an actor per connection, and one file per API.
//
//	socket ─▶ reader goroutine cuts frames ─▶ *Frame ─▶ connection actor ─▶ handler of the API ─▶ other actors
//	socket ◀─ writer, in order, sendfile   ◀─ Wire.Answer ◀───────────────◀─ Request.Answer, now or later
//
// The connection actor is neutral to its transport: it receives *Frame words and writes through a Wire. The Listener
// gives it TCP sockets, the simulator gives it modelled ones (NewConnection).
//
// How to add an API: a file with its name, a row of type api in it, the row's name in the list of table.go. A row says
// which versions are served, what a request's bytes look like (shape.go), and who handles it:
//
//	var describeThings = api{key: 99, min: 0, max: 1, shape: "[s] 1@1+", start: decoded((*kmsg.DescribeThingsRequest).Key, onDescribeThings)}
//
//	func onDescribeThings(c stage.Context, r *Request, q *kmsg.DescribeThingsRequest) {
//		r.Ask(c, message.BrokerAt(r.Node()), &message.Describe{}, patience, func(c stage.Context, answer any) {
//			r.Answer(c, &kmsg.DescribeThingsResponse{...})
//		})
//	}
//
// Every request is answered exactly once, by Answer, AnswerNothing or Refuse.
//
// The package holds no state that outlives a connection, and it knows no partition: only their addresses and the views
// that they publish.
package kafka
