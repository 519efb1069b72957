#!/usr/bin/env python3
"""The rows that `benches/peers.sh` measured, beside what is demanded of them.

Reads the folder of one run: ROW.json of the harness's matrix, ROW.COMMAND.seconds of commands that were timed over a
row's tree. Medians; a peer counts only where all of its trees were right, and a row is met only where all of ours were."""
import json
import statistics
import sys
from pathlib import Path

OURS = "own"

# Row, what it is measured against, and the most that is allowed of it.
WALLS = [
    ("mid-wan", "W1 wan", 1.0),
    ("mid-wan-recipe", "W1 wan, recipe and official client", 0.33),
    ("many-mid-wan", "W5 wan", 1.0),
    ("mid-lossy", "W1 lossy", 0.9),
    ("small-wan", "W2q wan", 0.6),
    ("small-wan-h2", "W2q wan, HTTPS", 0.8),
    ("small-lan", "W2 lan", 1.4),
    ("large-wan", "W3 wan", 1.0),
    ("large-lan", "W3 lan", 1.1),
    ("mid-lan", "W1 lan", 0.67),
]
RESUMED = [("resume-mid", "W1 wan"), ("resume-large", "W3 wan"), ("resume-many", "W5 wan")]
MOST_RECEIVED = 1.02
MOST_CPU_S_PER_GB = 1.5
MOST_MEMORY_MB = 100


def main(folder):
    runs = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    rows = [wall(folder, name, work, must, runs[name]) for name, work, must in WALLS if name in runs]
    if "processor" in runs:
        rows.append(processor(runs["processor"]))
    rows += [resumed(name, work, runs[name]) for name, work in RESUMED if name in runs]
    own = [run for of in runs.values() for run in of if run["kind"] == "perf" and run["peer"] == OURS]
    if own:
        rows.append(memory(own))
    print("\n| row | yardstick | ours | ratio | must | met |\n| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def wall(folder, name, work, must, runs):
    """Our wall time beside that of the best peer, and of what was done to its tree after it."""
    peers = {peer: median(runs, peer, "wall") for peer in {run["peer"] for run in runs} - {OURS}}
    peers = {peer: seconds for peer, seconds in peers.items() if are_right(runs, peer)}
    if not peers:
        return row(name, f"{work}: no peer came through", "-", None, must, [])
    best = min(peers, key=peers.get)
    after = {path.suffixes[0][1:]: of_lines(path) for path in sorted(folder.glob(f"{name}.*.seconds"))}
    whole = peers[best] + sum(after.values())
    yardstick = f"{work}: " + ", then ".join([best, *after]) + f" {whole:.2f} s"
    ours = median(runs, OURS, "wall")
    return row(name, yardstick, f"{ours:.2f} s", ours / whole, must, runs)


def processor(runs):
    """Ours in seconds a GB, and those of the peers, which tell how slow the machine was."""
    for run in runs:
        run["cpu_s_per_gb"] = (run["user"] + run["sys"]) / (run["payload"] / 1e9)
    costs = {peer: median(runs, peer, "cpu_s_per_gb") for peer in sorted({run["peer"] for run in runs})}
    ours = costs.pop(OURS)
    peers = ", ".join(f"{peer} {cost:.2f}" for peer, cost in costs.items())
    return row("processor", f"W1 wan: processor seconds a GB ({peers})", f"{ours:.2f}", ours, MOST_CPU_S_PER_GB, runs)


def resumed(name, work, runs):
    """What a killed and restarted pull received, over what one does that is not killed."""
    ratio = statistics.median(run["received"] for run in runs)
    return row(name, f"{work}: bytes received, killed at half ÷ not killed", f"{ratio:.4f}", ratio, MOST_RECEIVED, runs)


def memory(runs):
    most = max(run["rss_kb"] for run in runs) * 1024 / 1e6
    return row("memory", "most in any run, MB", f"{most:.0f}", most, MOST_MEMORY_MB, runs)


def row(name, yardstick, ours, ratio, must, runs):
    wrong = "" if ratio is None or are_right(runs, OURS) else ", and a tree is wrong"
    met = "-" if ratio is None else "yes" if ratio <= must and not wrong else "no" + wrong
    return [name, yardstick, ours, "-" if ratio is None else f"{ratio:.3g}", f"{must:g}", met]


def are_right(runs, peer):
    of_peer = [run for run in runs if run["peer"] == peer]
    return bool(of_peer) and all(run["rc"] == 0 and run["tree"]["ok"] == run["nfiles"] for run in of_peer)


def median(runs, peer, what):
    return statistics.median(run[what] for run in runs if run["peer"] == peer)


def of_lines(path):
    return statistics.median(float(line) for line in path.read_text().split())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
