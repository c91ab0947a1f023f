# shellcheck shell=bash
# The history, as Valkey keeps it, out of a VM and into one.

cd /opt/barestream || exit

# One step at a time: that of an operator who was cut off goes on to its end.
exec 8>>step.lock
flock 8

# Private updates are in it.
umask 077

# How long workers may take to end their streams (at most 300 s, twice where a reload is under way)
# and to be healthy.
renewal_seconds=660

# Valkey needs some ten seconds for a gigabyte; without a limit, a stuck one would be waited for for ever.
snapshot_seconds=600

stop_with() {
    printf '%s\n' "$1" >&2
    exit 1
}

valkey() {
    local id
    id=$([ ! -x compose ] || ./compose ps --all --quiet valkey)
    [ -n "$id" ] || stop_with "no version has been rolled out here: there is no Valkey"
    echo "$id"
}

# Its folder on this machine.
data() {
    docker inspect "$1" \
        --format '{{range .Mounts}}{{if eq .Destination "/data"}}{{.Source}}{{end}}{{end}}'
}

# A snapshot as Valkey gives it to a replica: whole, and of one moment, while it serves.
snapshot() {
    local id folder
    id=$(valkey)
    folder=$(data "$id")
    # shellcheck disable=SC2016  # the container's shell
    docker exec "$id" sh -c 'export REDISCLI_AUTH="$(cat /run/barestream-engine/password)"
        timeout 10 valkey-cli ping && timeout '"$snapshot_seconds"' valkey-cli --rdb /data/snapshot.rdb' \
        >/dev/null || stop_with "Valkey gave no snapshot, or not within $snapshot_seconds s"
    mv "$folder/snapshot.rdb" history.rdb
    verify
    du --human-readable history.rdb | cut -f 1
}

# Valkey's own look at it, checksum and all.
verify() {
    local said
    said=$(docker run --rm --network none --user 0 --volume "$PWD/history.rdb:/history.rdb:ro" \
        --entrypoint valkey-check-rdb "$(docker inspect --format '{{.Config.Image}}' "$(valkey)")" \
        /history.rdb 2>&1) || {
        rm history.rdb
        stop_with "Valkey does not take it for a snapshot: $(grep -v info <<<"$said" | tail -n 2)"
    }
}

hand_over() {
    # A connection that breaks leaves nothing behind.
    trap 'rm -f history.rdb' EXIT
    cat history.rdb
}

receive() {
    valkey >/dev/null
    cat >history.rdb
    verify
}

# Streams stay open on heartbeats meanwhile, and publishers are told to come back.
put_back() {
    local id folder said
    id=$(valkey)
    folder=$(data "$id")
    # What Valkey's log of writes begins with may be a snapshot.
    rm -rf "$folder/appendonlydir.part"
    mkdir "$folder/appendonlydir.part"
    mv history.rdb "$folder/appendonlydir.part/appendonly.aof.1.base.rdb"
    echo "file appendonly.aof.1.base.rdb seq 1 type b" >"$folder/appendonlydir.part/appendonly.aof.manifest"
    chown -R --reference "$folder" "$folder/appendonlydir.part"
    docker stop "$id" >/dev/null
    rm -rf "$folder/appendonlydir.before"
    # A machine that stops in between starts with nothing, and what it had is beside it.
    [ ! -d "$folder/appendonlydir" ] || mv "$folder/appendonlydir" "$folder/appendonlydir.before"
    mv "$folder/appendonlydir.part" "$folder/appendonlydir"
    if ! ./compose --progress quiet up --detach --wait --no-deps --no-recreate valkey; then
        said=$(docker logs --tail 20 "$id" 2>&1 | grep ' # ' | tail -n 2)
        docker stop "$id" >/dev/null
        rm -rf "$folder/appendonlydir"
        mv "$folder/appendonlydir.before" "$folder/appendonlydir"
        docker start "$id" >/dev/null
        stop_with "Valkey did not start on it, and has what it had: $said"
    fi
    # An entry that tells every client that what came after the backup is gone.
    # shellcheck disable=SC2016  # the container's shell
    docker exec "$id" sh -c 'REDISCLI_AUTH=$(cat /run/barestream-engine/password) \
        timeout 30 valkey-cli -e XADD "{barestream}:log" "*" lost ""' >/dev/null ||
        stop_with "Valkey has it, but takes no entry that tells of what is lost"
    echo "what was there before is in $folder/appendonlydir.before"
}

# Its workers hold the newest events: others read them from what was put back. Done when no worker
# of before is left, whose streams ended evenly, and those that are there take streams.
renew_workers() {
    local app before deadline=$((SECONDS + renewal_seconds))
    app=$(./compose ps --quiet "$(sed -n 's/^COMPOSE_PROFILES=//p' release.env)")
    # What is not there reads it when it starts.
    [ -n "$app" ] || return 0
    before=$(processes "$app")
    docker kill --signal HUP "$app" >/dev/null
    # Its init and Gunicorn's master stay.
    until [ "$(comm -12 <(echo "$before") <(processes "$app") | wc -l)" -le 2 ] &&
        docker exec "$app" barestream health >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || stop_with "the workers were not renewed within $renewal_seconds s"
        sleep 0.5
    done
}

processes() { docker top "$1" -eo pid | grep -v PID | sort; }
