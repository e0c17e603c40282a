#!/bin/sh
# Includes point down: who may include whose headers. A folder may always include its own and <tuff/...>.
# "folder: allowed..." where an entry is a folder, or one header; the most specific folder's line counts.
set -eu
cd "$(dirname "$0")/../.."

arrows='
base:
ir: base shaders/shader_ids.h
text: base
jinja: base
formats: base ir/dtype.h
ops: ir base shaders backend/cpu/kernels.h
backend: ir base
backend/cpu: backend/backend.h backend/host.h ir base
backend/null: backend/backend.h ir base
backend/vulkan: backend/backend.h backend/host.h ir base shaders
runtime: backend/backend.h formats ir base
models: runtime text formats ir base
chat: jinja models text formats base
adapters: models runtime text formats ir base
generate: models adapters runtime text formats ir base
packed: models adapters runtime text formats ir base
embed: packed models adapters runtime text formats ir base
predict: packed models adapters runtime text formats ir base
train: generate embed packed chat models adapters runtime text formats ir base
conform: runtime ops ir base
bench: runtime ops ir base
cli:
'

find src examples -name '*.c' -o -name '*.h' -o -name '*.def' | sort | xargs grep -HnE '^[ \t]*#[ \t]*include' |
    awk -v arrows="$arrows" '
    BEGIN {
        count = split(arrows, lines, "\n")
        for (i = 1; i <= count; i++) {
            if (split(lines[i], part, ": *") < 1 || part[1] == "") continue
            sub(/:$/, "", part[1])
            known[part[1]] = 1
            n = split(part[2], names, " ")
            for (j = 1; j <= n; j++) allowed[part[1], names[j]] = 1
        }
    }
    # "src/backend/cpu/gemm.c" lives in backend/cpu where that has a line, else in backend.
    function folder_of(path,    piece) {
        piece = path
        while (sub(/\/[^\/]*$/, "", piece)) if (piece in known) return piece
        return ""
    }
    {
        split($0, field, ":")
        file = field[1]
        line = field[2]
        if (file ~ /^examples\//) {
            if ($0 ~ /"[^"]*\//) report("examples include only <tuff/...>, the C library and headers beside them")
            next
        }
        sub(/^src\//, "", file)
        from = folder_of(file)
        if (from == "") { report("this folder has no line in the table"); next }
        if ($0 ~ /<(vulkan\/|volk)/ && from != "backend/vulkan") report("only backend/vulkan includes Vulkan")
        if ($0 !~ /"/) next
        match($0, /"[^"]*"/)
        target = substr($0, RSTART + 1, RLENGTH - 2)
        if (target ~ /^shaders\//) to = "shaders"; else to = folder_of(target)
        if (to == "") { report("\"" target "\" is not spelled from src/"); next }
        if (to == from || (from, to) in allowed || (from, target) in allowed) next
        report(from " may not include \"" target "\"")
    }
    function report(what) { print field[1] ":" line ": " what; bad = 1 }
    END { exit bad }'
