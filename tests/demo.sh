#!/usr/bin/env bash
# The main job on a local archive: one hour of THEMIS all-sky images of Gillam, pulled, shown and verified.
#   demo.sh DIRECTORY-OF-THE-BINARIES DIRECTORY-FOR-THE-DATA
set -euo pipefail

binaries=$1
out=$2
work=$(mktemp -d)
export SKYHAUL_STATE_DIR="$work/state"

mkfifo "$work/url"
"$binaries/skyhaul-replica" --rate 40M --log "$work/requests.jsonl" >"$work/url" &
replica=$!
trap 'kill "$replica" 2>/dev/null || true; wait "$replica" 2>/dev/null || true; rm -rf "$work"' EXIT
read -r SKYHAUL_API <"$work/url"
export SKYHAUL_API

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
query=(THEMIS_ASI_RAW --start 2022-01-01T06:00 --end 2022-01-01T06:59 --site gill --out "$out")

say skyhaul pull "${query[@]}"
"$binaries/skyhaul" pull "${query[@]}"

say skyhaul status 1
"$binaries/skyhaul" status 1

say skyhaul verify 1
"$binaries/skyhaul" verify 1

say "skyhaul manifest 1 | (cd $out && sha256sum --check --quiet)"
"$binaries/skyhaul" manifest 1 | (cd "$out" && sha256sum --check --quiet)

files=$(find "$out" -name '*.pgm.gz' | wc -l)
[ "$files" -eq 60 ] || { echo "demo: $files files instead of 60" >&2; exit 1; }
echo "demo: 60 files in $out, every digest as recorded"
