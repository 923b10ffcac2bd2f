#!/usr/bin/env bash
# Our files, opened by TensorFlow. Writes them below target/interop with the program and the example, then ask_tensorflow.py
# compares; exit 0 when TensorFlow finds in each what it should.
set -euo pipefail
cd "$(dirname "$0")/../.."
fixtures=tests/interop/fixtures
out=target/interop

bash tests/interop/setup.sh
cargo build --release --locked --package modulor-cli --bin modulor
cargo build --release --locked --example 05_checkpoint
rm -rf $out

# TensorFlow's checkpoints through our reader and our writer: as they are, and over three files.
for index in "$fixtures"/*/ckpt/*.index "$fixtures"/*/managed/*.index "$fixtures"/*/saved_model/variables/*.index; do
    prefix=${index%.index}
    copy=$out/copies/${prefix#"$fixtures/"}
    mkdir -p "$(dirname "$copy")"
    target/release/modulor checkpoint copy "$prefix" "$copy" >/dev/null
done
for index in "$fixtures"/*/ckpt/*.index; do
    prefix=${index%.index}
    copy=$out/three_shards/${prefix#"$fixtures/"}
    mkdir -p "$(dirname "$copy")"
    target/release/modulor checkpoint copy "$prefix" "$copy" --shards 3 >/dev/null
done

# And as safetensors.
mkdir -p $out/safetensors
for fixture in seed_sequential ckpt_slots keras_transformer; do
    target/release/modulor checkpoint convert $fixtures/$fixture/ckpt/model $out/safetensors/$fixture.safetensors
done

# The models of the notes: <fixture>/ckpt/model of the three seed_ fixtures, and managed/ after three saves that keep two.
target/release/examples/05_checkpoint --dir $out/notes >/dev/null

# Graphs: every golden case of every op, and models.
MODULOR_GRAPHS=$PWD/$out/graphs cargo test --release --locked --test main -- graph_def:: >/dev/null

# Configs of models, with weights and outputs.
MODULOR_MODELS=$PWD/$out/models cargo test --release --locked --test main -- model::keras >/dev/null

export PYTHONDONTWRITEBYTECODE=1
target/interop-venv/bin/python tests/interop/ask_tensorflow.py $out
target/interop-venv/bin/python tests/interop/ask_graphs.py $out/graphs
target/interop-venv/bin/python tests/interop/ask_models.py $out/models
# The checkers themselves: broken files must not pass.
target/interop-venv/bin/python tests/interop/check/selftest_mutations.py | grep -v '^ok'
