#!/bin/sh
# The sources are as clang-format 14 leaves them; other versions break lines elsewhere.
set -eu
cd "$(dirname "$0")/../.."

formatter=""
for candidate in clang-format-14 clang-format; do
    if command -v "$candidate" >/dev/null 2>&1 && "$candidate" --version | grep -q 'version 14\.'; then
        formatter=$candidate
        break
    fi
done
[ -n "$formatter" ] || { echo "no clang-format 14"; exit 77; }

bad=$(find src include tests examples -name '*.c' -o -name '*.h' | sort | xargs -n 40 "$formatter" --dry-run 2>&1 | sed -n 's/^\([^:]*\):[0-9].*warning:.*/\1/p' | sort -u)
[ -z "$bad" ] || { printf 'run clang-format -i on:\n%s\n' "$bad"; exit 1; }
