#!/bin/sh
# A few of full.sh's full disks where the training is on lavapipe.
set -eu
export TUFF_KILLS=2 TUFF_KILL_HOW=full TUFF_KILL_DEVICES=lavapipe TUFF_KILL_ONLY=averaged
exec sh "$TUFF_TEST_SOURCE/tests/e2e/kill.sh"
