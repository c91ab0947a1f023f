# shellcheck shell=bash
# Items of the VM, as deploy/vm/item.sh tells of them. Needs progress.sh and connection.sh.

check=false
changes=0

# items FILE FUNCTION ARGUMENT...: have the VM compare, and change what differs.
items() {
    local line told=0 errors
    errors=$(connection_file errors)
    while IFS= read -r line; do
        case $line in
        refused:*)
            line=${line#refused: }
            fail "${line%%$'\t'*}" "${line#*$'\t'}"
            ;;
        changed:* | would\ change:*) changes=$((changes + 1)) ;;
        esac
        say "$line"
    done < <(on_vm "item,$1" converge $check "${@:2}" </dev/null 2>"$errors")
    wait $! || told=$?
    ! is_verbose || cat "$errors" >&2
    if [ $told != 0 ]; then
        fail "exit code $told; $(tail -n 5 "$errors")" \
            "Run it again with --verbose: what is done already stays, and is not done twice."
    fi
}
