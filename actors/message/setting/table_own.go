package setting

// topicOwn are Troupe's own topic settings.
var topicOwn = []Setting{
	{Name: "durability", Type: String, Default: "fsync", Valid: []string{"fsync", "replicated"}, Synonyms: []Synonym{{Name: "log.durability"}}, Ours: true,
		Sentence: "fsync: a record is acknowledged when it is synced to disk on the replicas that its acks ask for. replicated: when it is in their page caches, as in Kafka.",
		Sim:      []string{"replicated"}},
}

// brokerOwn are Troupe's own broker settings.
var brokerOwn = []Setting{
	{Name: "log.durability", Type: String, Default: "fsync", Valid: []string{"fsync", "replicated"}, Dynamic: ClusterWide, Ours: true,
		Sentence: "The durability of topics that do not set their own."},
	{Name: "journal.file.bytes", Type: Long, Default: "67108864", Min: 1 << 16, MinSet: true, Max: 1 << 32, MaxSet: true, Ours: true,
		Sentence: "The size of one journal file. The journal makes many partitions' small appends durable with one sync.",
		Sim:      []string{"65536", "1048576"}},
	{Name: "journal.files", Type: Int, Default: "4", Min: 2, MinSet: true, Max: 1024, MaxSet: true, Ours: true,
		Sentence: "How many journal files are kept and written in turn.",
		Sim:      []string{"2", "3"}},
	{Name: "http.listener", Type: String, Default: ":9644", Ours: true,
		Sentence: "The address of /metrics, /healthz and /readyz; empty switches them off."},
	{Name: "http.profile", Type: Boolean, Default: "false", Ours: true,
		Sentence: "Serve /debug/pprof beside the metrics: where the process spends its time and memory."},
	{Name: "otel.endpoint", Type: String, Default: "", Ours: true,
		Sentence: "Where OpenTelemetry traces go over OTLP/HTTP, like http://localhost:4318; empty records none."},
	{Name: "otel.sample.ratio", Type: Double, Default: "0.01", Min: 0, MinSet: true, Max: 1, MaxSet: true, Ours: true,
		Sentence: "The share of requests that are traced where the client has not begun a trace."},
	{Name: "log.level", Type: String, Default: "info", Valid: []string{"debug", "info", "warn", "error"}, Ours: true,
		Sentence: "The least severe lines that the broker writes about itself."},
	{Name: "log.format", Type: String, Default: "text", Valid: []string{"text", "json"}, Ours: true,
		Sentence: "How the broker's lines about itself look."},
	{Name: "files.open.max", Type: Int, Default: "0", Min: 0, MinSet: true, Ours: true,
		Sentence: "How many of the data directory's files are kept open at most; 0 is half of what the process may open.",
		Sim:      []string{"4", "16"}},
	{Name: "memory.limit.bytes", Type: Long, Default: "0", Min: 0, MinSet: true, Ours: true,
		Sentence: "The soft limit of the process's memory, at which it collects garbage harder; 0 is half of what the machine or its cgroup has."},
}
