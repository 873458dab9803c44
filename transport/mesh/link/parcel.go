package link

// Parcel is a frame on its way: pieces that are to be sent one after the other, most of them still where the letters are. Its zero value
// holds nothing; it may be used again for the next frame.
type Parcel struct {
	Pieces [][]byte // the first is the header
	header []byte
	small  []byte   // copies of what is small: one piece for all that follow on each other
	open   int      // where in small the last piece begins; -1: it is another
	lent   [][]byte // what is given back when they are sent
	limits *Limits
}

// smallMax is what costs more as a piece of its own than to copy.
const smallMax = 1 << 10

// Size is how many bytes it has.
func (p *Parcel) Size() (n int) {
	for _, piece := range p.Pieces {
		n += len(piece)
	}
	return n
}

// Sent gives back what was lent for the frame, whether it arrives or not: its bytes are needed no more.
func (p *Parcel) Sent() {
	for i, b := range p.lent {
		p.limits.giveBack(b)
		p.lent[i] = nil
	}
	p.lent = p.lent[:0]
	clear(p.Pieces)
}

func (p *Parcel) begin(l *Limits) {
	p.limits, p.lent = l, p.lent[:0]
	p.Pieces, p.small, p.open = append(p.Pieces[:0], nil), p.small[:0], -1
}

func (p *Parcel) add(b []byte) {
	switch {
	case len(b) == 0:
	case len(b) > smallMax:
		p.Pieces, p.open = append(p.Pieces, b), -1
	case p.open < 0:
		p.open = len(p.small)
		p.small = append(p.small, b...)
		p.Pieces = append(p.Pieces, p.small[p.open:])
	default:
		p.small = append(p.small, b...)
		p.Pieces[len(p.Pieces)-1] = p.small[p.open:]
	}
}

// carry keeps lent memory until the parcel was sent.
func (p *Parcel) carry(lent []byte) {
	if lent != nil {
		p.lent = append(p.lent, lent)
	}
}

// seal puts the header in front.
func (p *Parcel) seal(f *Frame) {
	p.header = appendHeader(p.header[:0], f)
	seal(p.header, p.Pieces[1:]...)
	p.Pieces[0] = p.header
}

// Append appends all of it to b.
func (p *Parcel) Append(b []byte) []byte {
	for _, piece := range p.Pieces {
		b = append(b, piece...)
	}
	return b
}
