#!/bin/sh
# The library allocates through base/memory.h, never prints or exits, and reads the environment in one place.
set -eu
cd "$(dirname "$0")/../.."

find src -name '*.c' -o -name '*.h' | sort | xargs awk '
    # Without strings and comments.
    function code(text,    at) {
        gsub(/"([^"\\]|\\.)*"/, "\"\"", text)
        gsub(/\/\*([^*]|\*[^\/])*\*\//, " ", text)
        if (in_comment) {
            at = index(text, "*/")
            if (!at) return ""
            in_comment = 0
            text = substr(text, at + 2)
        }
        at = index(text, "/*")
        if (at) {
            in_comment = 1
            text = substr(text, 1, at - 1)
        }
        return text
    }
    function forbid(names, text, why) {
        if (text !~ "(^|[^A-Za-z0-9_.>])(" names ") *\\(") return
        print FILENAME ":" FNR ": " why ": " $0
        bad = 1
    }
    FNR == 1 { in_comment = 0 }
    /TODO|FIXME|(^|[^X])XXX([^X]|$)/ { print FILENAME ":" FNR ": unfinished: " $0; bad = 1 }
    {
        text = code($0)
        forbid("sprintf|vsprintf|strcat|strtok|gets|alloca|atoi|atof|rand|srand", text, "use the safe or repeatable way")
        if (FILENAME ~ /^src\/cli\//) next
        if (FILENAME !~ /^src\/base\/(memory|writer_posix)\.c$/)
            forbid("malloc|calloc|realloc|free|strdup|strndup|aligned_alloc|posix_memalign", text, "use base/memory.h")
        if (FILENAME !~ /^src\/base\/status\.c$/)
            forbid("printf|vprintf|fprintf|vfprintf|puts|fputs|putchar|perror|exit|_exit|quick_exit|abort|assert", text,
                   "the library never prints, exits or aborts")
        if (FILENAME !~ /^src\/base\/os_posix\.c$/) forbid("getenv|secure_getenv", text, "use tuff_environment")
    }
    END { exit bad }'
