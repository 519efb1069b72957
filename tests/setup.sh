#!/usr/bin/env bash
# Gets what building and testing need beside a Rust toolchain. Running it again changes nothing.
#   setup.sh build     a C compiler, rustfmt, clippy
#   setup.sh           that, and the programs that some tests run against; without those (there is no network, or no
#                      apt) it says so, and those tests say that they are skipped
set -euo pipefail
cd "$(dirname "$0")/.."

main() {
    for_building
    [ "${1:-all}" = build ] || for_testing
}

for_building() {
    if ! command -v cargo >/dev/null; then
        echo "setup: no cargo found: install a Rust toolchain from https://rustup.rs first" >&2
        exit 1
    fi
    if ! command -v cc >/dev/null && ! get_packages gcc libc6-dev; then
        echo "setup: no C compiler found: install gcc or clang with your system's packages" >&2
        exit 1
    fi
    for component in rustfmt clippy; do
        if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
            rustup component add "$component"
        fi
    done
}

for_testing() {
    unpack_servers
    install_browser
    get_axe
}

# The packages of those programs that are not here.
#   missing PROGRAM:PACKAGE…
missing() {
    local program
    for program in "$@"; do
        command -v "${program%%:*}" >/dev/null || echo -n "${program##*:} "
    done
}

# Installs packages, as root or by sudo; fails where neither will do.
#   get_packages PACKAGE…
get_packages() {
    command -v apt-get >/dev/null || return 1
    local apt=(timeout 300 apt-get -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120)
    as_root "${apt[@]}" install "$@" >/dev/null 2>&1 && return 0
    # Perhaps the lists of packages are old or were never fetched.
    as_root "${apt[@]}" update >/dev/null 2>&1 && as_root "${apt[@]}" install "$@" >/dev/null 2>&1
}

as_root() {
    local sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo --prompt="setup: the password for sudo apt-get, please: ")
    # Where nobody can answer, nobody is asked.
    [ ${#sudo[@]} -eq 0 ] || [ -t 0 ] || sudo+=(--non-interactive)
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive "$@"
}

# The servers that tests/servers runs, and what makes a certificate for one.
unpack_servers() {
    local packages
    packages=$(missing nginx:nginx apache2:apache2-bin lighttpd:lighttpd caddy:caddy openssl:openssl python3:python3)
    # shellcheck disable=SC2086 # each word is a package
    [ -z "$packages" ] || unpack servers $packages
}

# A browser wants its fonts and settings in their places: it is installed.
install_browser() {
    local packages
    packages=$(missing chromium:chromium chromedriver:chromium-driver promtool:prometheus)
    # shellcheck disable=SC2086 # each word is a package
    [ -z "$packages" ] || get_packages $packages ||
        echo "setup: no ${packages}(install them as root): the dashboard's tests that need them are skipped" >&2
}

# The checks of accessibility that the dashboard's tests run in the browser; MPL-2.0, and no part of what is built.
get_axe() {
    local folder=${CARGO_TARGET_DIR:-target}/axe
    [ ! -e "$folder/node_modules/axe-core/axe.min.js" ] || return 0
    mkdir -p "$folder"
    if ! timeout 120 npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --no-package-lock axe-core@4 \
        >"$folder/log" 2>&1; then
        echo "setup: no axe-core (npm could not get it): the dashboard's accessibility is not checked" >&2
    fi
}

# Unpacks packages, and what they need that is not here, into a folder of the build: nothing is installed, enabled
# or started, and nobody has to be root. Packages that are installed already are left as they are.
#   unpack FOLDER PACKAGE…
unpack() {
    local folder=${CARGO_TARGET_DIR:-target}/$1; shift
    [ ! -e "$folder/complete" ] || return 0
    local archives; mkdir -p "$folder/archives/partial"; archives=$(cd "$folder/archives" && pwd)
    if ! download "$archives" "$@" >"$folder/log" 2>&1; then
        echo "setup: no $*: tests that need one of them are skipped where it is not installed ($folder/log)" >&2
        return 0
    fi
    find "$archives" -name '*.deb' -exec dpkg-deb --extract {} "$folder" \;
    rm -r "$archives"
    touch "$folder/complete"
}

download() {
    local archives=$1; shift
    command -v apt-get || return 1
    local get=(timeout 120 apt-get -y -qq --no-install-recommends -o Debug::NoLocking=1 -o "Dir::Cache::archives=$archives")
    "${get[@]}" --download-only install "$@" && return 0
    # Perhaps the lists of packages are old or were never fetched, which only root can mend.
    as_root timeout 120 apt-get update -qq && "${get[@]}" --download-only install "$@"
}

main "$@"
