package plan

// line is what something costs: fixed + slope * bytes, fitted to running averages.
type line struct {
	fixed, slope float64
	samples      int

	x, y, xx, xy float64 // running averages
}

const (
	forget     = 0.1 // how much the newest sample counts
	forgetRare = 0.4
	outlier    = 8        // a sample counts as at most so many times what was expected, so that one stall does not turn the plan
	doubt      = 64 << 10 // bytes: where samples spread less than this they say little of the slope, and it stays
	least      = 20e-6    // seconds: what an outlier is measured by at least
	hold       = doubt * doubt
)

// learn takes one sample: so many bytes took so many seconds. A rare one counts for more, since nothing follows it soon.
func (l *line) learn(bytes, seconds float64, rare bool) {
	weight := forget
	if rare {
		weight = forgetRare
	}
	l.samples++
	weight = max(weight, 1/float64(l.samples))
	seconds = min(seconds, outlier*max(l.at(bytes), least))
	l.x += weight * (bytes - l.x)
	l.y += weight * (seconds - l.y)
	l.xx += weight * (bytes*bytes - l.xx)
	l.xy += weight * (bytes*seconds - l.xy)
	l.fit()
}

// fit is least squares, held to the slope so far where the samples spread little. Neither part is ever negative.
func (l *line) fit() {
	spread, along := max(0, l.xx-l.x*l.x), l.xy-l.x*l.y
	l.slope = max(0, (along+hold*l.slope)/(spread+hold))
	if l.x > 0 {
		l.slope = min(l.slope, l.y/l.x)
	}
	l.fixed = max(0, l.y-l.slope*l.x)
}

// at is what so many bytes are expected to cost.
func (l *line) at(bytes float64) float64 { return l.fixed + l.slope*bytes }
