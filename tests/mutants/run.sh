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
tab=$(printf '\t')

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

killed=0 survived=0 total=0 line=0
while IFS="$tab" read -r name file families rest; do
    line=$((line + 1))
    case "$name" in "#"* | "") continue ;; esac
    case "$name" in *"$only"*) ;; *) continue ;; esac
    total=$((total + 1))
    rm -rf "$work/shaders"
    cp -R shaders "$work/shaders"
    field "$line" 4 >"$work/from"
    field "$line" 5 >"$work/to"
    # Literal, the first place only.
    if ! awk -v from="$work/from" -v to="$work/to" '
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
        }' "shaders/$file" >"$work/shaders/$file"; then
        echo "STALE     $name: its text is no longer in shaders/$file"
        survived=$((survived + 1))
        continue
    fi
    status=0
    case=$(field "$line" 6)
    TUFF_SHADER_DIR="$work/shaders" "$tuff" conform --device "$device" --op "$families" ${case:+--case "$case"} \
        --junit "$work/report.xml" \
        >"$work/out" 2>"$work/err" || status=$?
    verdict=$(sed -n 's/.*<failure type="\([^"]*\)".*/\1/p' "$work/report.xml" 2>/dev/null | grep -v -x -e error -e unreached | sort |
        uniq -c | sort -rn | awk '{ n = $1; $1 = ""; printf "%s%s x %d", sep, substr($0, 2), n; sep = ", " }') || true
    if [ "$status" = 1 ] && [ -n "$verdict" ]; then
        killed=$((killed + 1))
        echo "killed    $name ($verdict)"
    else
        survived=$((survived + 1))
        echo "SURVIVED  $name (exit $status)"
        grep -v '^ ' "$work/err" | head -3
    fi
    rm -f "$work/report.xml"
done <"$list"

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
[ "$survived" = 0 ] && [ "$missing" = 0 ] && [ "$total" -gt 0 ]
