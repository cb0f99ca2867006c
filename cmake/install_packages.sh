#!/usr/bin/env bash
# install_packages.sh SECTION… — installs what the sections of packages.txt list and this machine lacks, and says what. Called by
# examples/quickstart and spec/run. Needs root or sudo only when something is missing; never removes or upgrades anything.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

wanted() {
    local section
    for section in "$@"; do
        awk -v want="[$section]" '/^\[/ { on = ($0 == want); next } /^#/ || NF == 0 { next } on { print $1 }' "$top/packages.txt"
    done
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian; please make sure of: $(wanted "$@" | tr '\n' ' ')" >&2
    exit 0
fi

missing=()
while read -r package; do
    is_installed "$package" || missing+=("$package")
done < <(wanted "$@")
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Please install them as root: apt-get install ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_get() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" </dev/null >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
}
# Package lists are fetched only when they do not know what we want.
for package in "${missing[@]}"; do
    if ! apt-cache show "$package" >/dev/null 2>&1; then
        apt_get update
        break
    fi
done
if ! (apt_get install --no-install-recommends "${missing[@]}") 2>/dev/null; then
    apt_get update # the lists were there, but too old
    apt_get install --no-install-recommends "${missing[@]}"
fi
