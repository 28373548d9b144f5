#!/bin/sh
# Run every fuzz target for so many seconds; what one finds ends the run and lies in fuzz/artifacts.
# Usage: run.sh SECONDS [TARGET...]
set -eu

seconds=$1
shift
cd "$(dirname "$0")"
tools=../target/tools
PATH="$PWD/$tools/bin:$PATH"
command -v cargo-fuzz >/dev/null 2>&1 || cargo install --quiet --locked --root "$tools" cargo-fuzz

# A stable compiler instruments as a nightly one does; the sanitizers' run-time libraries come with nightly alone.
export RUSTC_BOOTSTRAP=1
sanitizer=none
! rustc --version | grep -q nightly || sanitizer=address

[ $# -gt 0 ] || set -- fuzz_targets/*.rs
for target in "$@"; do
    name=$(basename "$target" .rs)
    mkdir -p "corpus/$name"
    echo "fuzzing $name for $seconds s"
    nice cargo fuzz run --sanitizer "$sanitizer" "$name" "corpus/$name" "seeds/$name" -- \
        -max_total_time="$seconds" -timeout=10 -print_final_stats=1 -verbosity=0
done
