#!/bin/sh
# Small rooms: past 500 lines ask which two rooms it is; 800 is the wall.
set -eu
cd "$(dirname "$0")/../.."

find src include shaders tests examples \( -name '*.c' -o -name '*.h' -o -name '*.comp' -o -name '*.glsl' -o -name '*.def' \) \
    -exec wc -l {} \; | sort -rn | awk '
    $1 > 800 { print $2 ": " $1 " lines, more than 800: split it"; bad = 1; next }
    $1 > 500 { print $2 ": " $1 " lines, more than 500: is this two rooms?" }
    END { exit bad }'
