#!/bin/sh
# ctest: slow
# lose.sh's trainings of all parameters, each lost at every submit.
set -eu
export TUFF_LOSSES=all TUFF_LOSE_ONLY="full full-accumulated"
exec sh "$TUFF_TEST_SOURCE/tests/e2e/lose.sh"
