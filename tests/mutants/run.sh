#!/bin/sh
# Runs the conformance suite on wrong shaders (shaders.tsv): each must be rejected, by a guard and not because it does not
# compile. usage: run.sh TUFF [DEVICE [PART OF A NAME]]
set -eu
tuff=$(realpath "$1")
device=${2:-lavapipe}
only=${3:-}
cd "$(dirname "$0")/../.."
list=tests/mutants/shaders.tsv

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TUFF_CACHE_DIR="$work/cache"

# The n-th field of mutant $1 to standard output, \n as a line's end.
field() {
    awk -F '\t' -v line="$1" -v n="$2" 'NR == line { gsub(/\\n/, "\n", $n); printf "%s", $n }' "$list"
}

# Where the unchanged shaders do not hold, a failure says nothing of a mutant.
all=$(awk -F '\t' -v only="$only" '!/^#/ && (only == "" || index($1, only)) { print $3 }' "$list" | sort -u | tr '\n' ',')
if [ -n "$all" ] && ! TUFF_SHADER_DIR="$PWD/shaders" "$tuff" conform --device "$device" --op "$all" --quiet 2>"$work/err"; then
    echo "no verdict on mutants: the unchanged shaders do not hold on $device" >&2
    head -3 "$work/err" >&2
    exit 1
fi

# mutant LINE: tries one, and prints what became of it
mutant() {
    line=$1
    name=$(field "$line" 1) file=$(field "$line" 2) families=$(field "$line" 3) case=$(field "$line" 6) mask=$(field "$line" 7)
    dir=$work/$line
    mkdir "$dir"
    cp -R shaders "$dir/shaders"
    field "$line" 4 >"$dir/from"
    field "$line" 5 >"$dir/to"
    # Literal, the first place only.
    if ! awk -v from="$dir/from" -v to="$dir/to" '
        function whole(path,    text, row) {
            while ((getline row < path) > 0) text = text row "\n"
            return substr(text, 1, length(text) - 1)
        }
        { text = text $0 "\n" }
        END {
            old = whole(from); new = whole(to)
            at = index(text, old)
            if (!at) exit 1
            printf "%s%s%s", substr(text, 1, at - 1), new, substr(text, at + length(old))
        }' "shaders/$file" >"$dir/shaders/$file"; then
        echo "STALE     $name: its text is no longer in shaders/$file"
        return
    fi
    status=0
    TUFF_SHADER_DIR="$dir/shaders" "$tuff" conform --device "$device" --op "$families" ${case:+--case "$case"} ${mask:+--mask "$mask"} \
        --junit "$dir/report.xml" >"$dir/out" 2>"$dir/err" || status=$?
    verdict=$(sed -n 's/.*<failure type="\([^"]*\)".*/\1/p' "$dir/report.xml" 2>/dev/null | grep -v -x -e error -e unreached | sort |
        uniq -c | sort -rn | awk '{ n = $1; $1 = ""; printf "%s%s x %d", sep, substr($0, 2), n; sep = ", " }') || true
    if [ "$status" = 1 ] && [ -n "$verdict" ]; then
        echo "killed    $name ($verdict)"
    else
        printf 'SURVIVED  %s (exit %s)\n%s\n' "$name" "$status" "$(grep -v '^ ' "$dir/err" | head -3)"
    fi
    rm -rf "$dir"
}

# Two at a time: compiling a shader, here and in the driver, takes one processor.
lines=$(awk -F '\t' -v only="$only" '!/^#/ && $1 != "" && (only == "" || index($1, only)) { print NR }' "$list")
every_second() {
    for line in $(echo "$lines" | awk -v rest="$1" 'NR % 2 == rest'); do
        mutant "$line"
    done
}
{
    every_second 0 &
    every_second 1
    wait
} | tee "$work/verdicts"
total=$(echo "$lines" | grep -c . || true)
killed=$(grep -c '^killed ' "$work/verdicts" || true)

# Every family that has kernels is touched; views have none, and graphs are made of the others.
missing=0
if [ -z "$only" ]; then
    for family in $("$tuff" conform --list | cut -d. -f1 | sort -u); do
        case "$family" in view | graphs) continue ;; esac
        if ! grep -v '^#' "$list" | cut -f3 | grep -qx "$family"; then
            echo "UNTOUCHED $family: no mutant is of this family"
            missing=$((missing + 1))
        fi
    done
fi

echo "$killed of $total mutants killed"
[ "$killed" = "$total" ] && [ "$missing" = 0 ] && [ "$total" -gt 0 ]
