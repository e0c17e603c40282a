#!/bin/sh
# ctest: slow
# lose.sh's trainings with moments of 8 bits, and with phases, each lost at every submit.
set -eu
export TUFF_LOSSES=all TUFF_LOSE_ONLY="8bit unfrozen"
exec sh "$TUFF_TEST_SOURCE/tests/e2e/lose.sh"
