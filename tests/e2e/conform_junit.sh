#!/bin/sh
# tuff conform --junit against the schema that CI services read, for runs that hold, fail, and find no device.
set -eu
command -v xmllint >/dev/null || { echo "no xmllint (libxml2-utils)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check EXIT-CODE WHAT [options]
check() {
    code=$1 what=$2 status=0
    shift 2
    "$TUFF_TEST_TUFF" conform --junit "$work/report.xml" "$@" >/dev/null 2>"$work/err" || status=$?
    [ "$status" = "$code" ] || { echo "exit code $status, expected $code: $(cat "$work/err")"; exit 1; }
    xmllint --noout --schema "$TUFF_TEST_SOURCE/tests/e2e/junit.xsd" "$work/report.xml"
    grep -q "$what" "$work/report.xml" || { echo "no $what in the report"; exit 1; }
}

echo 'matmul.nt.f32.m8*' >"$work/fails.txt"
check 0 'failures="0" errors="0" skipped="0"' --device cpu --op softmax
check 1 'failures="1" errors="0"' --device cpu --mask memory=1M --case 'matmul.nt.f32.m8*,softmax.*'
check 0 'skipped="1"' --device cpu --mask memory=1M --case 'matmul.nt.f32.m8*,softmax.*' --expect-fail "$work/fails.txt"
check 3 'errors="1"' --device 'a <device> that "nobody" has' --op softmax
