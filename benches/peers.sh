#!/usr/bin/env bash
# skyhaul beside its peers, on the same work over the same emulated links: `make bench-peers`.
#
# Runs the harness that BENCH_DIR names (its README says what it needs: Linux, root, the peers) row by row, with the
# flags that docs/performance.md names for each, REPEATS times, interleaved. ROWS picks rows by a pattern of their names.
set -euo pipefail

skyhaul=$(realpath "${1:?usage: benches/peers.sh SKYHAUL}")
bench=$(realpath -m "${BENCH_DIR:-../shared/bench}")
repeats=${REPEATS:-5}
wanted=${ROWS:-.}

if [ ! -f "$bench/peers.py" ]; then
    echo "there is no harness at $bench: set BENCH_DIR to the folder that has peers.py; nothing was measured"
    exit 0
fi
if ! ip netns list 2>/dev/null | grep -q '^bench-client'; then
    "$bench/setup.sh"
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# row NAME WORKLOAD LINK SCHEME PEERS FLAGS...
row() {
    local name=$1 workload=$2 link=$3 scheme=$4 peers=$5
    shift 5
    [[ $name =~ $wanted ]] || return 0
    echo "== $name: $workload over $link, $scheme, skyhaul $*"
    "$bench/peers.py" matrix --workloads "$workload" --profiles "$link" --scheme "$scheme" \
        --peers "$peers,own" --repeats "$repeats" --timeout 120 --json "$results/$name.json" --own-cmd \
        "$skyhaul --state-dir {work_dir}/state --no-progress -q pull --urls {list_file} --base {base_url} --out {out_dir} $*"
}

row mid-wan W1 wan http curl,wget2,aria2t
row many-mid-wan W5 wan http wget2,aria2t
row mid-lossy W1 lossy http curl --connections 64
row small-wan W2q wan http curl --connections 256 --in-flight 256 --verify length
row small-wan-h2 W2q wan https curl_h1 --connections 4 --in-flight 512 --verify length --cacert "{ca}"
row small-lan W2 lan http curl --verify length
row large-wan W3 wan http aria2t,parfive_t
row large-lan W3 lan http aria2t --verify length
row mid-lan W1 lan http curl
row processor W1 wan http wget2 --verify length

for result in "$results"/*.json; do
    [ -e "$result" ] || continue
    echo
    echo "== $(basename "$result" .json)"
    "$bench/peers.py" report --json "$result"
done
