#!/usr/bin/env bash
# Installs what Modulor is measured beside, below the folder $PEERS_ROOT, and nothing elsewhere:
#
#     PEERS_ROOT=FOLDER bash setup.sh [tensorflow jax torch candle burn tract]
#
# without names all of them: some 8 GB, since PyTorch comes with what it needs on GPUs, and the crates are built by one job.
set -euo pipefail
root=${PEERS_ROOT:?is the folder that everything goes below}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$root"

environment() {
    [ -x "$root/$1/bin/python3" ] || python3 -m venv "$root/$1"
    "$root/$1/bin/python3" -m pip install --quiet --no-cache-dir "${@:2}"
    # A name of its own, by which listings of processes tell a peer from other programs.
    ln -sf python3 "$root/$1/bin/peer"
}

crate() {
    RUSTFLAGS="-C target-cpu=native" CARGO_TARGET_DIR="$root/target" \
        cargo build --release --quiet --jobs 1 --manifest-path "$here/rust/$1/Cargo.toml"
}

for name in ${*:-tensorflow jax torch candle burn tract}; do
    case $name in
        tensorflow) environment tensorflow tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6 ;;
        jax) environment jax jax==0.10.2 optax==0.2.8 numpy==2.4.6 ;;
        torch) environment torch torch==2.15.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 ;;
        candle | burn | tract) crate "$name" ;;
        *)
            echo "setup.sh: there is no peer \"$name\"" >&2
            exit 2
            ;;
    esac
done
