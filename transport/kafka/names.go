package kafka

// illegal says that a topic can not have that name (S44): 1 to 249 of letters, digits, '.', '_' and '-', neither "." nor
// "..".
func illegal(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 249 {
		return true
	}
	for i := 0; i < len(name); i++ {
		switch ch := name[i]; {
		case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9', ch == '.', ch == '_', ch == '-':
		default:
			return true
		}
	}
	return false
}
