package setting

import "testing"

// "Group configs are refused outside of the broker's bounds" (5.3 of the settings, GroupConfig.validate).
func TestGroupsStayWithinTheBrokersBounds(t *testing.T) {
	l := Layers{Static: NewValues(map[string]string{"group.consumer.min.heartbeat.interval.ms": "100"})}
	for _, c := range []struct {
		own  map[string]string
		want string
	}{
		{map[string]string{"consumer.session.timeout.ms": "45000"}, ""},
		{map[string]string{"consumer.session.timeout.ms": "44999"}, "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms"},
		{map[string]string{"consumer.session.timeout.ms": "60001"}, "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms"},
		{map[string]string{"consumer.heartbeat.interval.ms": "100"}, ""},
		{map[string]string{"consumer.heartbeat.interval.ms": "99"}, "consumer.heartbeat.interval.ms must be greater than or equal to group.consumer.min.heartbeat.interval.ms"},
		{map[string]string{"consumer.heartbeat.interval.ms": "15001"}, "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms"},
		{map[string]string{"streams.session.timeout.ms": "5000", "streams.heartbeat.interval.ms": "5000"}, "streams.session.timeout.ms must be greater than streams.heartbeat.interval.ms"},
		{map[string]string{"heartbeat.hold.ms": "0"}, ""},
	} {
		got := ""
		if err := l.CheckGroup(c.own); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v: %q, not %q", c.own, got, c.want)
		}
	}
}
