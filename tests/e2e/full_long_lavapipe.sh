#!/bin/sh
# ctest: slow
# All of full_long.sh's full disks on lavapipe: from 25 calls on of each training.
set -eu
export TUFF_KILLS=25 TUFF_KILL_HOW=full TUFF_KILL_DEVICES=lavapipe
exec sh "$TUFF_TEST_SOURCE/tests/e2e/kill.sh"
