#!/usr/bin/env bash
# planning.sh BIN-DIR [YEARS]: what the queue takes in through the real binaries. An engine plans years of all sites from the
# replica (a year is 7 million files; every file request hangs, so that hardly anything but planning is done), then a
# command submits a list of a million URLs. Prints a table.
set -euo pipefail
bin=$(cd "$1" && pwd)
years=${2:-1}
folder=$(mktemp -d)
replica=
engine=
trap 'kill $engine $replica 2>/dev/null || true; wait; rm -rf "$folder"' EXIT

"$bin/skyhaul-replica" --stall 0 >"$folder/replica" &
replica=$!
until [ -s "$folder/replica" ]; do kill -0 $replica; sleep 0.1; done
# Another name than the one in its listings: the archive's interface and its files are on two hosts.
api=$(sed 's/127\.0\.0\.1/localhost/;1q' "$folder/replica")

export SKYHAUL_API=$api
skyhaul=$bin/skyhaul
number() { sed -n "s/.*\"$1\":{\"total\":\([0-9]*\),\"$2\":\([0-9]*\).*/\\$3/p" "$folder/status"; }
row() { # what files seconds memory-kB processor-seconds
    local bytes
    bytes=$(du -sb "$folder/$state" | cut -f1)
    awk -v what="$1" -v files="$2" -v took="$3" -v kb="$4" -v cpu="$5" -v bytes="$bytes" 'BEGIN {
        printf "| %s | %d | %.1f | %d | %.1f | %s | %.1f |\n",
            what, files, took, files / took, bytes / files, kb ? int(kb / 1024) : "–", cpu * 1e6 / files }'
}

echo "| | files | s | files/s (wanted 200,000) | bytes a file on disk (64) | MB at most (300) | processor s a million |"
echo "| --- | --- | --- | --- | --- | --- | --- |"

state=planned
export SKYHAUL_STATE_DIR=$folder/$state
"$skyhaul" engine run >"$folder/log" 2>&1 &
engine=$!
until "$skyhaul" engine status >/dev/null 2>&1; do kill -0 $engine; sleep 0.1; done
begun=$EPOCHREALTIME
"$skyhaul" submit THEMIS_ASI_RAW --start $((2020 - years)) --end 2019 --out "$folder/out" >/dev/null
until "$skyhaul" status 1 --json >"$folder/status"; windows=$(number windows listed 1); [ "${windows:-0}" -gt 0 ] &&
    [ "$windows" = "$(number windows listed 2)" ]; do sleep 0.2; done
took=$(awk -v from="$begun" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }')
ticks=$(cut -d' ' -f14,15 "/proc/$engine/stat" | tr ' ' '+')
memory=$(awk '/VmHWM/ { print $2 }' "/proc/$engine/status")
row "an engine plans from the archive" "$(number files pending 1)" "$took" "$memory" "$(awk -v t=$((ticks)) -v hz="$(getconf CLK_TCK)" 'BEGIN { print t / hz }')"
kill -INT $engine
wait $engine || true
engine=

state=listed
export SKYHAUL_STATE_DIR=$folder/$state
awk 'BEGIN { for (n = 0; n < 1000000; n++)
    printf "https://data.example/sort_by_project/THEMIS/asi/stream0/2022/%02d/%02d/gill_themis19/ut%02d/2022_%07d_gill_themis19_full.pgm.gz\n",
        n / 90000 + 1, n / 3600 % 25 + 1, n / 60 % 24, n }' >"$folder/list"
begun=$EPOCHREALTIME
TIMEFORMAT='%U %S'
{ time "$skyhaul" submit --urls "$folder/list" --out "$folder/out" --no-start >/dev/null; } 2>"$folder/times"
took=$(awk -v from="$begun" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }')
row "a command submits a list" 1000000 "$took" 0 "$(awk '{ print $1 + $2 }' "$folder/times")"
