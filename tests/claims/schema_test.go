package claims

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// nullable are the lists of answers that may be null (L1: those of Kafka 4.3, of the APIs that are served), and what null
// means there. Clients follow every other list blindly.
var nullable = map[string]string{
	"FetchResponseTopicPartition.AbortedTransactions": "not asked for: read_uncommitted",
	"FetchResponseTopicPartition.RecordBatches":       "nothing to read",
}

// fitsSchema fails the test if an answer has a null list that must not be null, or bytes that its schema does not explain.
//
// A codec that writes a nil list of a nullable field as null reads null as nil, and writes an empty one differently.
func fitsSchema(t *testing.T, resp kmsg.Response, body []byte) {
	t.Helper()
	if again := resp.AppendTo(nil); !bytes.Equal(again, body) {
		t.Errorf("%T in version %d is not what its schema says:\n%x\n%x", resp, resp.GetVersion(), body, again)
		return
	}
	lists(reflect.ValueOf(resp).Elem(), func(where string, list reflect.Value) {
		if list.Len() > 0 || nullable[where] != "" {
			return
		}
		was := reflect.New(list.Type()).Elem()
		was.Set(list)
		list.Set(reflect.MakeSlice(list.Type(), 0, 0))
		empty := resp.AppendTo(nil)
		if list.Set(was); !bytes.Equal(empty, body) {
			t.Errorf("%T in version %d: %s is null", resp, resp.GetVersion(), where)
		}
	})
}

// lists calls with every list in a value, and "Type.Field" of where it is.
func lists(v reflect.Value, each func(where string, list reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			lists(v.Elem(), each)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range min(v.Len(), 50) { // the rest is alike
				lists(v.Index(i), each)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || f.Name == "UnknownTags" {
				continue
			}
			if f.Type.Kind() == reflect.Slice {
				each(v.Type().Name()+"."+f.Name, v.Field(i))
			}
			lists(v.Field(i), each)
		}
	}
}

// codes are all error codes in an answer.
func codes(v reflect.Value) (all []int16) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			all = codes(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, codes(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "ErrorCode" {
				all = append(all, int16(v.Field(i).Int()))
			} else if v.Type().Field(i).IsExported() {
				all = append(all, codes(v.Field(i))...)
			}
		}
	}
	return all
}

// L1, the test of the test: a null list is found.
func TestANullListIsFound(t *testing.T) {
	resp := kmsg.NewPtrCreateTopicsResponse()
	resp.SetVersion(7)
	resp.Topics = append(resp.Topics, kmsg.NewCreateTopicsResponseTopic())
	found := false
	body := resp.AppendTo(nil)
	lists(reflect.ValueOf(resp).Elem(), func(where string, list reflect.Value) {
		if list.Len() == 0 {
			list.Set(reflect.MakeSlice(list.Type(), 0, 0))
			found = found || where == "CreateTopicsResponseTopic.Configs" && !bytes.Equal(resp.AppendTo(nil), body)
		}
	})
	if !found {
		t.Error("a null list looks like an empty one")
	}
}
