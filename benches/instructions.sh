#!/usr/bin/env bash
# The instructions of each hot piece beside their baseline: `make bench`; with --write they become it: `make bench-baseline`.
#
# Times of a machine that others use too differ by half from one hour to the next; instructions do so by less than a
# hundredth (where threads race, by a tenth). What is counted is a run of each piece, its preparation included. Ends with
# 1 when a piece needs more than its bound allows. valgrind counts; where it is missing that is said, and nothing fails.
set -euo pipefail
export LC_ALL=C.UTF-8

cd "$(dirname "$0")/.."
baseline=benches/instructions.txt

if ! command -v valgrind >/dev/null; then
    echo "valgrind is not here: no instructions were counted"
    exit 0
fi
hot=$(${CARGO:-cargo} bench --package skyhaul-benches --bench hot --locked --no-run 2>&1 |
    sed -n 's/.*Executable benches\/hot\.rs (\(.*\))/\1/p') || true
[ -x "$hot" ] || { echo "the benchmarks cannot be built: see 'cargo bench --no-run'" >&2; exit 1; }

counted=$(mktemp)
trap 'rm -f "$counted"' EXIT
for piece in $("$hot" --list | sed -n 's/^[├╰]─ \([a-z_]*\).*/\1/p'); do
    valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$hot" --bench "$piece" --sample-count 1 --sample-size 1 2>&1 |
        sed -n "s/.*Collected : /$piece /p" >>"$counted"
done

[ -s "$counted" ] || { echo "no piece was counted" >&2; exit 1; }
if [ "${1:-}" = --write ]; then
    bounds=$(cat "$baseline")
    {
        sed -n '/^#/p' <<<"$bounds"
        awk 'NR == FNR { bound[$1] = $3; next } { print $1, $2, $1 in bound ? bound[$1] : "1.05" }' \
            <(sed '/^#/d' <<<"$bounds") "$counted"
    } >"$baseline"
    exit
fi
awk -v path="$baseline" '
    FILENAME == path { if (!/^#/) { count[$1] = $2; bound[$1] = $3 } next }
    FNR == 1 { printf "\n%-42s %17s %10s  of %s\n", "instructions", "now", "ratio", path }
    !($1 in count) { printf "%-42s %17.0f %10s  not in the baseline\n", $1, $2, "–"; next }
    { seen[$1] = 1; ratio = $2 / count[$1]; slower = ratio > bound[$1]; failed = failed || slower
      printf "%-42s %17.0f %10.3f  %s %s\n", $1, $2, ratio, slower ? "MORE THAN" : "within", bound[$1] }
    END {
        for (piece in count) if (!(piece in seen)) { printf "%-42s is in the baseline and was not counted\n", piece; failed = 1 }
        exit failed
    }' "$baseline" "$counted"
