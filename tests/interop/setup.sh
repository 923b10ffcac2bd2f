#!/usr/bin/env bash
# The TensorFlow that run.sh asks: target/interop-venv with the versions of requirements.txt, made once. Needs Python 3.11
# to 3.13; `PYTHON=python3.12 bash tests/interop/setup.sh` names another than python3.
set -euo pipefail
cd "$(dirname "$0")/../.."
requirements=tests/interop/requirements.txt
venv=target/interop-venv
stamp=$venv/requirements.sha256
python=${PYTHON:-python3}

if [ -x $venv/bin/python ] && sha256sum --check --status $stamp 2>/dev/null; then
    exit 0
fi
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    echo "$python is $("$python" --version 2>&1); TensorFlow 2.21 wants Python 3.11 to 3.13: name one in PYTHON" >&2
    exit 1
fi
echo "installing $(tr '\n' ' ' <$requirements)into $venv"
rm -rf $venv
mkdir -p target
# Where the system keeps ensurepip in a package of its own, its pip installs into an environment without one.
if "$python" -m venv $venv >/dev/null 2>&1; then
    pip=($venv/bin/python -m pip)
else
    rm -rf $venv
    "$python" -m venv --without-pip $venv
    pip=("$python" -m pip --python $venv/bin/python)
fi
"${pip[@]}" install --quiet --disable-pip-version-check --requirement $requirements
$venv/bin/python - $requirements <<'PYTHON'
import importlib.metadata as metadata
import sys

for line in open(sys.argv[1]):
    package, wanted = line.split("==")
    found = metadata.version(package)
    if found != wanted.strip():
        sys.exit(f"{package} is {found}, {sys.argv[1]} says {wanted.strip()}")
PYTHON
sha256sum $requirements >$stamp
