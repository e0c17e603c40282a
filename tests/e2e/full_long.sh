#!/bin/sh
# ctest: slow
# The same from 25 calls on of each training.
set -eu
export TUFF_KILLS=25 TUFF_KILL_HOW=full
exec sh "$TUFF_TEST_SOURCE/tests/e2e/kill.sh"
