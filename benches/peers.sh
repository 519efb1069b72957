#!/usr/bin/env bash
# skyhaul beside its peers, on the same work over the same emulated links: `make bench-peers`.
#
# Runs the harness that BENCH_DIR names (its README says what it needs: Linux, root, the peers) row by row, with the
# flags that docs/performance.md names for each, REPEATS times, interleaved, and prints what is demanded of each row and
# whether it is met. ROWS picks rows by a pattern of their names.
set -euo pipefail
export LC_ALL=C.UTF-8

skyhaul=$(realpath "${1:?usage: benches/peers.sh SKYHAUL}")
here=$(dirname "$(realpath "$0")")
bench=$(realpath -m "${BENCH_DIR:-../shared/bench}")
bench_tmp=${BENCH_TMP:-/tmp/bench}
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

# wants NAME: whether a row is asked for.
wants() { [[ $1 =~ $wanted ]]; }

# own FLAGS...: the command that the harness puts into its slot.
own() { echo "$skyhaul --state-dir {work_dir}/state --no-progress -q pull --urls {list_file} --base {base_url} --out {out_dir} $*"; }

# row NAME WORKLOAD LINK SCHEME PEERS FLAGS...
row() {
    local name=$1 workload=$2 link=$3 scheme=$4 peers=$5
    shift 5
    wants "$name" || return 0
    echo "== $name: $workload over $link, $scheme, skyhaul $*"
    "$bench/peers.py" matrix --workloads "$workload" --profiles "$link" --scheme "$scheme" --peers "$peers,own" \
        --repeats "$repeats" --timeout 120 --json "$results/$name.json" --own-cmd "$(own "$@")"
}

# resume NAME WORKLOAD FLAGS...: kill -9 at half of the bytes, the same command again, and what the client's host received.
resume() {
    local name=$1 workload=$2
    shift 2
    wants "$name" || return 0
    echo "== $name: $workload over wan, killed at half and started again, skyhaul $*"
    "$here/resume.py" "$bench" "$workload" "$repeats" "$(own "$@")" "$results/$name.json"
}

# over_tree NAME WORKLOAD COMMAND...: seconds that a command takes over all files of a workload, on all processors.
over_tree() {
    local name=$1 workload=$2 TIMEFORMAT=%R
    shift 2
    wants "$name" || return 0
    for _ in $(seq "$repeats"); do
        { time find "$bench_tmp/content/$workload" -type f -print0 |
            xargs -0 -n 4 -P "$(nproc)" "$@" >/dev/null; } 2>>"$results/$name.$1.seconds"
    done
}

row mid-wan W1 wan http curl,wget2,aria2,aria2t
row mid-wan-recipe W1 wan http seed,pyuc
row many-mid-wan W5 wan http wget2,aria2t
row mid-lossy W1 lossy http curl,aria2t --connections 64 --in-flight 64
row small-wan W2q wan http curl --connections 256 --in-flight 256 --verify length
row small-wan-h2 W2q wan https curl_h1 --connections 4 --in-flight 512 --verify length --cacert "{ca}"
row small-lan W2 lan http curl --verify length
# W3 is noise under a name in .h5, which fails that format's check.
row large-wan W3 wan http aria2t,lftp,parfive_t --verify length
row large-lan W3 lan http aria2t --verify length
row mid-lan W1 lan http curl
over_tree mid-lan W1 sha256sum
over_tree mid-lan W1 gzip -t
row processor W1 wan http wget2 --verify length
resume resume-mid W1
resume resume-large W3 --verify length
resume resume-many W5

"$here/peers_table.py" "$results"
