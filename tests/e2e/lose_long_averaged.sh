#!/bin/sh
# ctest: slow
# lose.sh's training of averages, sums, phases and moments of 8 bits at once, lost at every submit.
set -eu
export TUFF_LOSSES=all TUFF_LOSE_ONLY="averaged"
exec sh "$TUFF_TEST_SOURCE/tests/e2e/lose.sh"
