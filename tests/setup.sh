#!/usr/bin/env bash
# Installs what building needs beside a Rust toolchain. Running it again changes nothing.
set -euo pipefail

if ! command -v cargo >/dev/null; then
    echo "setup: no cargo found: install a Rust toolchain from https://rustup.rs first" >&2
    exit 1
fi

if ! command -v cc >/dev/null; then
    if command -v apt-get >/dev/null; then
        as_root=(); [ "$(id -u)" -eq 0 ] || as_root=(sudo)
        "${as_root[@]}" apt-get update -qq
        "${as_root[@]}" apt-get install -y -qq --no-install-recommends gcc libc6-dev
    else
        echo "setup: no C compiler found: install gcc or clang with your system's packages" >&2
        exit 1
    fi
fi

for component in rustfmt clippy; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
        rustup component add "$component"
    fi
done
