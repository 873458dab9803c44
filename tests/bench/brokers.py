"""Brokers of Troupe and of Kafka for the benchmarks in this folder: started fresh, on loopback, one alive at a time.

env: TROUPE_PEERS (../shared/peers), TROUPE_BIN (a binary built before), PORT (19192), TROUPE_PEERS_DATA (where data lives)
"""
import os, pathlib, signal, subprocess, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = pathlib.Path(os.environ.get("TROUPE_PEERS", ROOT.parent / "shared/peers"))
PORT = os.environ.setdefault("PORT", "19192")


def tool(name, into):
    """Builds the program in a folder beside this file into a directory, and returns its path."""
    path = os.path.join(into, name)
    subprocess.run(["go", "build", "-o", path, f"./tests/bench/{name}"], cwd=ROOT, check=True)
    return path


class Brokers:
    """One or three brokers of "troupe" or "kafka" with settings as "name=value"; for use in a with statement, which stops them."""

    def __init__(self, target, settings=(), nodes=1):
        self.target, self.settings, self.nodes = target, settings, nodes
        self.start()

    def start(self, keep=False):
        """Starts them, and with keep on the data that is there: of Troupe only."""
        env = dict(os.environ)
        if self.target == "troupe":
            command = [HERE / ("start" if self.nodes == 1 else "start-three")]
            env.update(TROUPE_SET=" ".join(self.settings), TROUPE_KEEP="1" if keep else "")
        else:
            command = [PEERS / "kafka", "start", str(self.nodes), *[w for s in self.settings for w in ("--set", s)]]
        out = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        self.bootstrap, self.pids = out[0], [int(pid) for pid in out[1].split(",")]
        self.command = pathlib.Path(f"/proc/{self.pids[0]}/cmdline").read_text().split("\0")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.target == "kafka":
            subprocess.run([PEERS / "kafka", "stop"], check=True, stdout=subprocess.DEVNULL)
        self.end(signal.SIGTERM)

    def end(self, how):
        """Sends them a signal and waits for their end."""
        for pid in self.pids:
            try:
                os.kill(pid, how)
                while True:
                    os.kill(pid, 0)
                    time.sleep(0.01)
            except ProcessLookupError:
                pass

    def rss(self):
        """Resident memory of the first, in MiB."""
        status = pathlib.Path(f"/proc/{self.pids[0]}/status").read_text()
        return round(int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024)

    def logs(self):
        """MiB of the segments of one broker of Troupe, which need not run."""
        data = pathlib.Path(self.command[self.command.index("--data") + 1])
        return round(sum(f.stat().st_size for f in data.glob("topics/*/*/*.log")) / 2**20)
