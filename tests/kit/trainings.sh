# For scripts that train, read by them with `.`: what a training needs to be there, and a text to train on. It sets $golden and
# $work, a directory that goes when the script ends.
golden=$TUFF_TEST_ASSETS/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# skip WHY
skip() {
    echo "$1"
    exit 77
}

need_lavapipe() {
    "$TUFF_TEST_TUFF" devices --json | grep -q '"driver": "lavapipe.*"usable": true' || skip "no usable lavapipe"
}

# need_no_sanitizer WHY
need_no_sanitizer() {
    [ -z "${TUFF_TEST_SANITIZE:-}" ] || [ "$TUFF_TEST_SANITIZE" = OFF ] || skip "$1"
}

# write_text FILE
write_text() {
    i=0
    while [ $i -lt 40 ]; do
        echo "In the morning they said the river isn't a road, but $i stones because the bridge is one."
        i=$((i + 1))
    done >"$1"
}
