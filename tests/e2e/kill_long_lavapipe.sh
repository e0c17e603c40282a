#!/bin/sh
# ctest: slow
# All of kill.sh's kills on lavapipe: 25 of each training.
set -eu
export TUFF_KILLS=25 TUFF_KILL_DEVICES=lavapipe
exec sh "$TUFF_TEST_SOURCE/tests/e2e/kill.sh"
