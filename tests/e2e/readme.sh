#!/bin/sh
# What README.md says is so: its C is in examples/, its links lead somewhere, its commands have these verbs and options.
set -eu
cd "$TUFF_TEST_SOURCE"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
complain() {
    echo "README.md: $*"
    bad=1
}

sed -n '/^```c$/,/^```$/p' README.md | grep -v '^```' >"$work/quoted"
[ -s "$work/quoted" ] || complain "no C is quoted"
cat examples/*.c | sed "s/^ *//" >"$work/example"
while IFS= read -r line; do
    grep -qxF -e "$line" "$work/example" || complain "not in examples/: $line"
done <"$work/quoted"

sed 's/](/\n](/g' README.md | sed -n 's/^](\([^)#][^)]*\)).*/\1/p' >"$work/links"
[ -s "$work/links" ] || complain "no links"
while IFS= read -r link; do
    case $link in
    http*) ;;
    *) [ -e "$link" ] || complain "a link to $link, which is not there" ;;
    esac
done <"$work/links"

# Commands stand indented or in `...`; a line that ends in \ goes on.
sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}' README.md >"$work/joined"
{
    sed -n 's/^    \(tuff .*\)/\1/p' "$work/joined"
    grep -o '`tuff [^`]*`' "$work/joined" | tr -d '`'
} | sed 's/ #.*//' >"$work/commands"
[ "$(wc -l <"$work/commands")" -ge 10 ] || complain "hardly any commands"
while IFS= read -r command; do
    verb=$(echo "$command" | awk '{print $2}')
    case $verb in
    --version) continue ;;
    help) verb=$(echo "$command" | awk '{print $3}') ;;
    esac
    if ! "$TUFF_TEST_TUFF" help "$verb" >"$work/help" 2>&1; then
        complain "there is no verb $verb: $command"
        continue
    fi
    for option in $(echo "$command" | grep -o -e ' --[a-z0-9-]*' || true); do
        grep -q -e "^  $option\( \|\$\)" "$work/help" || complain "tuff $verb has no $option: $command"
    done
done <"$work/commands"
exit $bad
