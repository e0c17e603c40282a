#!/bin/sh
# ctest: slow
# lose.sh's trainings, each lost at every submit.
set -eu
export TUFF_LOSSES=all
exec sh "$TUFF_TEST_SOURCE/tests/e2e/lose.sh"
