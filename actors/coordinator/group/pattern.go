package group

import (
	"regexp"
	"slices"
	"time"
)

// pattern is a regular expression that members subscribe by, and the names that it matched when topics changed last (S84). Its syntax
// is RE2's, and it has to match the whole name.
type pattern struct {
	match   *regexp.Regexp // nil: it was found in the log and is not valid here
	topics  []string       // ascending
	version int64          // of the metadata that they are from
	time    int64          // milliseconds
}

func compile(text string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(text); err != nil { // what is not valid by itself must not become so between parentheses
		return nil, err
	}
	return regexp.Compile(`^(?:` + text + `)$`)
}

// touched says that a pattern may match otherwise after some topics have changed.
func (p *pattern) touched(names map[string]bool) bool {
	for name := range names {
		if p.match != nil && p.match.MatchString(name) {
			return true
		}
	}
	return false
}

// patternTexts are the patterns that members subscribe by, ascending.
func (k *consumers) patternTexts() []string {
	texts := make([]string, 0, len(k.patterns))
	for text := range k.patterns {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return texts
}

// resolve finds what a pattern matches now, and writes it down where it is something else.
func (g *Groups) resolve(now time.Time, o *Group, text string) {
	p := o.consumers.patterns[text]
	if p == nil {
		p = &pattern{}
		o.consumers.patterns[text] = p
	}
	if p.match == nil {
		p.match, _ = compile(text)
	}
	var found []string
	for name := range g.catalogue.Names() {
		if p.match != nil && p.match.MatchString(name) {
			found = append(found, name)
		}
	}
	if p.time != 0 && slices.Equal(found, p.topics) {
		return
	}
	p.topics, p.version, p.time = found, g.catalogue.Version(), now.UnixMilli()
	g.record(patternRecord(o.name, text, p))
}

// prune forgets a pattern by which nobody subscribes any more.
func (g *Groups) prune(o *Group, text string) {
	k := o.consumers
	if k.patterns[text] == nil || slices.ContainsFunc(k.members, func(c *consumer) bool { return c.pattern == text }) {
		return
	}
	delete(k.patterns, text)
	g.record(patternRecord(o.name, text, nil))
}
