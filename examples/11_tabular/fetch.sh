#!/usr/bin/env bash
# Fetches the penguins of Palmer Station into the folder `data` beside this script: those of the Python package
# `palmerpenguins`. Needs Python's pip.
set -euo pipefail
cd "$(dirname "$0")"
sum=5c3be9af84dd703a25f1aaeadeac6ac770cfd38c1620d00089f581c023129ee0
bash ../wheel.sh palmerpenguins==0.1.6 "$sum" palmerpenguins/data/penguins.csv data/penguins.csv
