# shellcheck shell=bash
# Gives the containers' user a name, so that no other user of the machine gets its id. Needs item.sh.

# As in the Dockerfile.
account_name=barestream
account_id=10001

account() {
    if ! getent group $account_name >/dev/null; then
        is_free group
        change "group $account_name ($account_id)" groupadd --system --gid $account_id $account_name
    fi
    if ! getent passwd $account_name >/dev/null; then
        is_free passwd
        change "user $account_name ($account_id)" useradd --system --uid $account_id \
            --gid $account_id --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin $account_name
    elif [ "$(id -u $account_name) $(id -g $account_name)" != "$account_id $account_id" ]; then
        refuse "the user $account_name exists with other ids than $account_id: $(id $account_name)" \
            "Remove that user, or take a VM that serves nothing else."
    else
        ok "user $account_name ($account_id)"
    fi
}

is_free() {
    local entry
    ! entry=$(getent "$1" $account_id) ||
        refuse "the id $account_id, which the containers use, belongs to ${entry%%:*} in $1" \
            "Give ${entry%%:*} another id, or take a VM that serves nothing else."
}
