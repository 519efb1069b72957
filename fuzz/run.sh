#!/usr/bin/env bash
# Looks for inputs that break a promise: every target, or those named, for FUZZ_SECONDS each (30 where that is not set).
# What fails is left in fuzz/found/TARGET; what reaches new code, in target/fuzz/corpus/TARGET, for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
# Coverage as libFuzzer reads it. That the host is named keeps these flags from the build scripts.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-trace-compares
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cdebug-assertions -Coverflow-checks"
RUSTFLAGS=$(echo $flags) cargo build --locked --package skyhaul-fuzz --bin fuzz --features libfuzzer --profile fuzz \
    --target "$host" --target-dir target/fuzz

[ $# -gt 0 ] || set -- fuzz/corpus/*
# Where files are only memory, waiting for the disk takes no time.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
for target in "${@##*/}"; do
    mkdir -p "target/fuzz/corpus/$target" "fuzz/found/$target"
    echo "== $target"
    FUZZ_TARGET=$target "target/fuzz/$host/fuzz/fuzz" -max_total_time="${FUZZ_SECONDS:-30}" -timeout=20 -rss_limit_mb=2048 \
        -max_len=4096 -close_fd_mask=1 -print_final_stats=1 -verbosity=0 -artifact_prefix="fuzz/found/$target/" \
        "target/fuzz/corpus/$target" "fuzz/corpus/$target"
    rmdir --ignore-fail-on-non-empty "fuzz/found/$target" fuzz/found
done
