# shellcheck shell=bash
# Takes the history out of a VM's Valkey, and puts one in.

cd /opt/barestream || exit

# One step at a time: a step whose operator was cut off runs to its end.
exec 8>>step.lock
flock 8

# The history holds private updates.
umask 077

# How long workers may take to end their streams (at most 300 s, twice that during a reload) and to
# become healthy.
renewal_seconds=660

# Valkey needs about ten seconds for a gigabyte. The limit ends the wait for a Valkey that hangs.
snapshot_seconds=600

stop_with() {
    printf '%s\n' "$1" >&2
    exit 1
}

valkey() {
    local id
    ! grep -qx 'BARESTREAM_OWN_VALKEY=off' release.env 2>/dev/null ||
        stop_with "the history of this VM is not on it, but in the Valkey of BARESTREAM_BROKER_URL in $PWD/.env: back up that one there"
    id=$([ ! -x compose ] || ./compose ps --all --quiet valkey)
    [ -n "$id" ] || stop_with "no version has been rolled out to this VM, so it has no Valkey: run deploy/rollout first"
    echo "$id"
}

# data CONTAINER: print the path of Valkey's folder on this machine.
data() {
    docker inspect "$1" \
        --format '{{range .Mounts}}{{if eq .Destination "/data"}}{{.Source}}{{end}}{{end}}'
}

# Take a snapshot as a replica would: complete, of one moment, while Valkey serves.
snapshot() {
    local id folder
    id=$(valkey)
    folder=$(data "$id")
    # In the Valkey of a release before the operator's user, the service's user has all rights.
    # shellcheck disable=SC2016  # the container's shell
    docker exec "$id" sh -c 'cli="valkey-start cli"
        if ! timeout 10 $cli ping 2>/dev/null; then
            export REDISCLI_AUTH="$(cat /run/barestream-engine/password)" cli=valkey-cli
            timeout 10 $cli ping
        fi && timeout '"$snapshot_seconds"' $cli --rdb /data/snapshot.rdb' \
        >/dev/null || stop_with "valkey-cli could not take a snapshot (the limit is $snapshot_seconds s): see above"
    mv "$folder/snapshot.rdb" history.rdb
    verify
    du --human-readable history.rdb | cut -f 1
}

# Check the snapshot, with its checksum, by Valkey's own tool.
verify() {
    local said
    said=$(docker run --rm --network none --user 0 --volume "$PWD/history.rdb:/history.rdb:ro" \
        --entrypoint valkey-check-rdb "$(docker inspect --format '{{.Config.Image}}' "$(valkey)")" \
        /history.rdb 2>&1) || {
        rm history.rdb
        stop_with "Valkey refuses the file as a snapshot: $(grep -v info <<<"$said" | tail -n 2)"
    }
}

hand_over() {
    # The trap removes the file even if the connection breaks.
    trap 'rm -f history.rdb' EXIT
    cat history.rdb
}

receive() {
    valkey >/dev/null
    cat >history.rdb
    verify
}

# Meanwhile streams stay open on heartbeats, and publishers get 503.
put_back() {
    local id folder said
    id=$(valkey)
    folder=$(data "$id")
    # Valkey's append-only file may begin with a snapshot.
    rm -rf "$folder/appendonlydir.part"
    mkdir "$folder/appendonlydir.part"
    mv history.rdb "$folder/appendonlydir.part/appendonly.aof.1.base.rdb"
    echo "file appendonly.aof.1.base.rdb seq 1 type b" >"$folder/appendonlydir.part/appendonly.aof.manifest"
    chown -R --reference "$folder" "$folder/appendonlydir.part"
    docker stop "$id" >/dev/null
    rm -rf "$folder/appendonlydir.before"
    # A machine that stops between these lines starts with an empty history; the one before is kept.
    [ ! -d "$folder/appendonlydir" ] || mv "$folder/appendonlydir" "$folder/appendonlydir.before"
    mv "$folder/appendonlydir.part" "$folder/appendonlydir"
    if ! ./compose --progress quiet up --detach --wait --no-deps --no-recreate valkey; then
        said=$(docker logs --tail 20 "$id" 2>&1 | grep ' # ' | tail -n 2)
        docker stop "$id" >/dev/null
        rm -rf "$folder/appendonlydir"
        mv "$folder/appendonlydir.before" "$folder/appendonlydir"
        docker start "$id" >/dev/null
        stop_with "Valkey did not start with the backup, and has the history before again: $said"
    fi
    # An entry that makes each client get a gap event for the updates after the backup.
    # shellcheck disable=SC2016  # the container's shell
    docker exec "$id" sh -c 'REDISCLI_AUTH=$(cat /run/barestream-engine/password) \
        timeout 30 valkey-cli -e XADD "{barestream}:log" "*" lost ""' >/dev/null ||
        stop_with "Valkey has the backup, but refused the entry that reports the lost updates to clients"
    echo "the history before is kept in $folder/appendonlydir.before"
}

# Replace the workers, whose rings hold events of the history before. Done when each worker from before
# has ended its streams and exited, and the new ones accept streams.
renew_workers() {
    local app before deadline=$((SECONDS + renewal_seconds))
    app=$(./compose ps --quiet "$(sed -n 's/^COMPOSE_PROFILES=//p' release.env)")
    # An app that does not run reads the history when it starts.
    [ -n "$app" ] || return 0
    before=$(processes "$app")
    docker kill --signal HUP "$app" >/dev/null
    # Two processes stay: the init and Gunicorn's master.
    until [ "$(comm -12 <(echo "$before") <(processes "$app") | wc -l)" -le 2 ] &&
        docker exec "$app" barestream health >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || stop_with "the workers were not replaced within $renewal_seconds s"
        sleep 0.5
    done
}

processes() { docker top "$1" -eo pid | grep -v PID | sort; }
