#!/bin/sh
# Make sure that the Debian packages listed in a file are installed; say what is missing where that cannot be done.
# Usage: apt.sh FILE
set -eu

wanted=$(sed 's/#.*//' "$1")
missing=""
if command -v dpkg-query >/dev/null 2>&1; then
    for package in $wanted; do
        status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || missing="$missing $package"
    done
else
    echo "note: this is no Debian system; $1 lists what has to be there" >&2
fi
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "error: missing packages:$missing" >&2
    echo "hint: as root: apt-get install$missing" >&2
    exit 1
fi
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null
