package setting

// brokerMesh is how a node meets the others of its cluster.
var brokerMesh = []Setting{
	{Name: "cluster.listen", Type: String, Default: "", Ours: true,
		Sentence: "Where the node listens for other nodes, HOST:PORT, as in 127.0.0.1:6222; empty: it is alone."},
	{Name: "cluster.advertise", Type: String, Default: "", Ours: true,
		Sentence: "What other nodes are told to connect to, HOST:PORT; empty is the address in cluster.listen."},
	{Name: "cluster.bulk.listen", Type: String, Default: "", Ours: true,
		Sentence: "Where the node listens for the records that other nodes send it, HOST:PORT; empty: a free port at the host of cluster.listen. Others are told which."},
	{Name: "cluster.bulk.advertise", Type: String, Default: "", Ours: true,
		Sentence: "What other nodes are told to send records to, HOST:PORT; empty is the host in cluster.advertise, or where that is empty the address in cluster.bulk.listen, with the port that is listened on."},
	{Name: "cluster.join", Type: List, Default: "", Ours: true,
		Sentence: "Where nodes of the cluster listen for others, HOST:PORT with or without nats:// in front, separated by commas; one that answers is enough."},
	{Name: "cluster.secret", Type: Password, Default: "", Ours: true,
		Sentence: "What nodes prove to each other that they are of this cluster, the same on all. Without it the file cluster.secret in the data directory is read. Nodes that listen on a loopback address may do without."},
	{Name: "cluster.tls.certificate", Type: String, Default: "", Ours: true,
		Sentence: "A PEM file with this node's certificate, and those between it and the authority. With it nodes speak TLS to each other and each must prove itself; the certificate must name the host or IP address that others connect to."},
	{Name: "cluster.tls.key", Type: String, Default: "", Ours: true,
		Sentence: "A PEM file with the key of cluster.tls.certificate."},
	{Name: "cluster.tls.authority", Type: String, Default: "", Ours: true,
		Sentence: "A PEM file with the certificates of the authorities that may sign nodes' certificates."},
	{Name: "bootstrap.expect", Type: Int, Default: "0", Min: 0, MinSet: true, Max: 5, MaxSet: true, Ours: true,
		Sentence: "How many new nodes found the cluster together: none begins before so many have met. 0: a new node that joins nobody founds a cluster of its own."},
}
