#!/bin/sh
# Installs what is missing, builds with warnings as errors, and runs the quick tests. Arguments go to ctest.
set -eu
cd "$(dirname "$0")/.."

sh scripts/install-deps.sh

launcher=""
if command -v ccache >/dev/null 2>&1; then
    launcher="-DCMAKE_C_COMPILER_LAUNCHER=ccache"
fi
cmake --preset default -DTUFF_WERROR=ON $launcher
cmake --build --preset default -j 2
ctest --preset default --label-exclude slow "$@"
