#!/bin/sh
# Tests use no path of the machine that they run on: what is missing on one machine is there on another. A test's own path
# is kit_temp_path("x"), a missing one kit_temp_path("none"). Allowed are devices and the kernel's tables.
set -eu
cd "$(dirname "$0")/../.."

# Texts that look like paths and are never opened: "file text", the text from its beginning.
never_opened='
tests/unit/base_file_test.c /b
tests/unit/base_file_test.c /c/
tests/unit/base_os_test.c /a/b
tests/unit/base_os_test.c /new
tests/unit/base_stage_test.c /b
tests/unit/safetensors_test.c /etc/passwd
tests/unit/spirv_reflect_test.c /etc/passwd
'

# In C, a text that begins with a path, or has one behind "="; in a script, the places where people leave files (bundle.sh
# means those of a root that it makes).
absolute() {
    find tests -name '*.c' -o -name '*.h' | sort | xargs grep -HnoE '["=]/[A-Za-z][A-Za-z0-9_./-]*' || true
    find tests -name '*.sh' | sort | xargs grep -HnoE '[^A-Za-z0-9_.}$]/(tmp|var|home|root|opt|nonexistent|nowhere)\>[A-Za-z0-9_./-]*' |
        grep -v -e '^tests/lint/test_paths.sh:' -e '^tests/e2e/bundle.sh:' || true
}

absolute | awk -v table="$never_opened" '
    BEGIN {
        count = split(table, lines, "\n")
        for (i = 1; i <= count; i++) if (split(lines[i], part, " ") == 2) allowed[part[1] " " part[2]] = 1
    }
    {
        split($0, field, ":")
        path = substr($0, length(field[1]) + length(field[2]) + 4)
        if (path ~ /^\/(dev\/(null|full|zero|stdin)$|proc($|\/))/) next
        for (entry in allowed) if (index(field[1] " " path, entry) == 1) next
        print field[1] ":" field[2] ": " path ": a path of this machine"
        bad = 1
    }
    END { exit bad }'
