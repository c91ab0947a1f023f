# shellcheck shell=bash
# Shows the items of the VM that deploy/vm/item.sh reports. Needs progress.sh and connection.sh.

check=false
changes=0

# items FILE FUNCTION ARGUMENT...: the VM compares its items, and changes those that differ. Its standard
# input is the file items_input, if that is set.
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
    done < <(on_vm "item,$1" converge $check "${@:2}" <"${items_input:-/dev/null}" 2>"$errors")
    wait $! || told=$?
    ! is_verbose || cat "$errors" >&2
    if [ $told != 0 ]; then
        fail "a command on the VM ended with exit code $told: $(tail -n 5 "$errors")" \
            "Run it again with --verbose to see the commands. What is done already is not done twice."
    fi
}
