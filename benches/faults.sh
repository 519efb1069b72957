#!/usr/bin/env bash
# What becomes of files when the server misbehaves: the harness's ten faults and a control, `make bench-faults`.
#
# Runs the harness that BENCH_DIR names, as benches/peers.sh does. Ends with 1 unless every file is right, or reported
# as failed with nothing at its place; a file that was whole before its server replaced it is right as it was then.
set -euo pipefail

skyhaul=$(realpath "${1:?usage: benches/faults.sh SKYHAUL}")
bench=$(realpath -m "${BENCH_DIR:-../shared/bench}")

if [ ! -f "$bench/faults.py" ]; then
    echo "there is no harness at $bench: set BENCH_DIR to the folder that has faults.py; nothing was tried"
    exit 0
fi
if ! ip netns list 2>/dev/null | grep -q '^bench-client'; then
    "$bench/setup.sh"
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# faults NAME FAULTS FLAGS...
faults() {
    local name=$1 list=$2
    shift 2
    "$bench/faults.py" --peers own --faults "$list" --json "$results/$name.json" --own-cmd \
        "$skyhaul --state-dir {work_dir}/state --no-progress -q pull --urls {list_file} --base {base_url} --out {out_dir} $*"
}

faults answers none,http503,reset,trunc,stall,html,corrupt
# These files are noise under names in .tar, which the format's own check refuses.
faults versions swap,swapint,grow,norange --verify length

python3 - "$results"/*.json <<'CHECK'
import json, sys

cases = [case for path in sys.argv[1:] for case in json.load(open(path))]
def holds(case):
    tree = case["tree"]
    if case["timeout"] or tree["wrong"] > tree.get("stale", 0):
        return False
    # Pages in the place of files are reported; everything else comes in the end.
    pages = case["fault"] == "html"
    return (case["rc"] == 3) == pages and (case["rc"] == 0) != pages and (tree["missing"] == 0) != pages
bad = [case["fault"] for case in cases if not holds(case)]
print(f"{len(cases)} of 11 cases, not as they should be: {', '.join(bad) or 'none'}")
sys.exit(bool(bad) or len(cases) != 11)
CHECK
