# shellcheck shell=bash
# Shows the state of the service, and changes nothing.

project=barestream
sampled_seconds=2

# status <figures.awk
status() {
    local figures containers nginx sockets current
    figures=$(cat)
    containers=$(list_containers)
    if [ -z "$containers" ]; then
        echo "This VM has no container of the service: deploy/rollout starts them." >&2
        return 1
    fi
    nginx=$(awk -F '|' '$1 == "nginx" { print $2 }' <<<"$containers")
    sockets=$(docker volume inspect --format '{{.Mountpoint}}' "${project}_sockets")
    current=$(readlink "$sockets/current") || current=
    tell_containers
    tell_machine
    tell_certificate
}

# Print a line for each container: service, id, image and status, with its age and health.
list_containers() {
    docker ps --all --filter "label=com.docker.compose.project=$project" \
        --filter label=com.docker.compose.oneoff=False \
        --format '{{.Label "com.docker.compose.service"}}|{{.ID}}|{{.Image}}|{{.Status}}' | sort
}

tell_containers() {
    local service image state heading
    local -A samples
    sample first
    sleep $sampled_seconds
    sample second
    while IFS='|' read -r service _ image state; do
        heading=$service
        [ "$service" != "$current" ] || heading+=" (current)"
        printf '%-16s %s, %s\n' "$heading" "$image" "$state"
        if [ -n "${samples[first $service]:-}" ] && [ -n "${samples[second $service]:-}" ]; then
            printf '%-16s %s\n' "" "$(tell_figures)"
        elif is_app "$service" && [[ $state == Up*healthy\) ]]; then
            printf '%-16s %s\n' "" "/metrics does not answer: the app drains or hangs, with $(open_streams "$service") open streams"
        fi
    done <<<"$containers"
}

# An app has a folder of sockets.
is_app() { [ -d "$sockets/$1" ]; }

# sample NAME: take each app's figures, from one worker, which answers for all of them. An app that
# starts or drains does not answer.
sample() {
    local service
    while IFS='|' read -r service _; do
        ! is_app "$service" || samples[$1 $service]=$(curl --silent --max-time 5 \
            --unix-socket "$sockets/$service/0.sock" http://localhost/metrics) || true
    done <<<"$containers"
}

tell_figures() {
    awk -v seconds="$sampled_seconds" "$figures" \
        sample=1 <(printf '%s\n' "${samples[first $service]}") \
        sample=2 <(printf '%s\n' "${samples[second $service]}")
}

# open_streams SERVICE: print how many connections to the app are open. The kernel lists both ends where
# the connection was made: in nginx's container.
open_streams() {
    local pid
    pid=$(docker inspect --format '{{.State.Pid}}' "$nginx")
    awk -v folder="/$1/" '$6 == "03" && index($8, folder) { n++ } END { print n + 0 }' \
        "/proc/$pid/net/unix"
}

tell_machine() {
    awk '{ kb[$1] = $2 }
        END { printf "%-16s %.1f of %.1f GB are free\n", "memory", kb["MemAvailable:"] / 1e6, kb["MemTotal:"] / 1e6 }' \
        /proc/meminfo
    df --portability "$(docker info --format '{{.DockerRootDir}}')" |
        awk 'NR == 2 { printf "%-16s %.1f of %.1f GB are free\n", "disk", $4 / 1e6, $2 / 1e6 }'
}

# Of the certificate that nginx sends, which may differ from the file's.
tell_certificate() {
    local address ends
    address=$(docker port "$nginx" 443/tcp 2>/dev/null | head -n 1) || return 0
    ends=$(curl --silent --insecure --verbose --max-time 5 --output /dev/null \
        "https://127.0.0.1:${address##*:}/_nginx" 2>&1 | sed -n 's/^\*  expire date: //p') || true
    if [ -z "$ends" ]; then
        printf '%-16s %s\n' "certificate" "the TLS handshake on port ${address##*:} failed"
        return
    fi
    printf '%-16s expires on %s, in %d days\n' "certificate" "$ends" \
        $((($(date --date "$ends" +%s) - $(date +%s)) / 86400))
}
