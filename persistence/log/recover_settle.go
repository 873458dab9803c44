package log

// sum says what has to be synced before the log is built upon: all that may not be, and names above all. An empty last
// segment may have no durable name either.
func (r *recovery) sum() error {
	l := r.log
	defer func() { l.dirty.above = l.size == 0 }()
	if l.next == r.point && !r.failed && !l.dirty.last && !l.dirty.dir && l.dirty.files == nil {
		return r.settle()
	}
	r.doubtAll()
	r.report.Dirty = l.Dirty()
	return nil
}

// settle makes durable at once what a process that was killed may have cut or removed. It is gone to look at, so that
// nobody else would have it synced, and a crash could bring it back behind what is appended next. Where there was nothing
// of the kind it costs next to nothing.
func (r *recovery) settle() error {
	if r.again {
		return nil
	}
	if last := r.log.last(); last != nil {
		if err := last.log.Sync(); err != nil {
			return err
		}
	}
	return r.log.place.chain()[0].Sync()
}

// doubtAll makes everything dirty that the process before this one may have written and not synced.
func (r *recovery) doubtAll() {
	l := r.log
	l.dirty.last, l.dirty.above = true, true
	if r.border != nil {
		l.dirty.add(r.border.log)
	}
	for _, h := range []*handle{&l.history, &l.first} {
		if h.file.Load() != nil {
			l.dirty.add(h)
		}
	}
}
