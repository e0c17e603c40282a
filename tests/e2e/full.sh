#!/bin/sh
# kill.sh's trainings on a disk that is full from some call on: they end saying so, and go on from the last checkpoint once there
# is room.
set -eu
export TUFF_KILLS=2 TUFF_KILL_HOW=full
exec sh "$TUFF_TEST_SOURCE/tests/e2e/kill.sh"
