#!/usr/bin/env bash
# Runs small calls of every kernel under valgrind, which sees what is read or written outside of a buffer. It knows no
# AVX-512: the kernels take AVX2 and portable code. It is not asked about values that were never written: all memory here has
# been, and the compiler looks at the lengths of slices that are not there.
set -euo pipefail
cd "$(dirname "$0")/../../.."
command -v valgrind >/dev/null || (apt-get update -qq && apt-get install -y -qq valgrind)
runner="CARGO_TARGET_$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')_RUNNER"
env "$runner=valgrind --quiet --undef-value-errors=no --error-exitcode=9 --num-callers=30" cargo test --locked -p modulor-kernels --test bounds
