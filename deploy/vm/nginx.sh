# shellcheck shell=bash
# Switches nginx between the apps, and changes its configuration and container. Needs release.sh.

replaces_nginx=false

# let_replace_nginx REPLACES_NGINX: whether this run may replace nginx's container.
let_replace_nginx() { replaces_nginx=$1; }

# take_over VERSION REPLACES_NGINX: switch nginx to the version. Open connections stay where they are,
# unless nginx itself is replaced.
take_over() {
    local is_changed=false
    let_replace_nginx "$2"
    if is_configured_otherwise "$1"; then
        is_changed=true
        # Before the link is changed, because nginx-start follows the link and renders these files.
        change_nginx "releases/$1/nginx"
    fi
    lead_to "$(other)"
    if ! is_running nginx; then
        put_nginx_start "$1"
        compose_for "$1" up --detach --wait --no-deps nginx
        echo "nginx was started"
    elif $replaces_nginx && is_nginx_outdated "$1"; then
        # Its streams end, and their clients reconnect to this version.
        replace_nginx "$1" compose_for "$1"
        echo "nginx's container was replaced"
    elif $is_changed; then
        reload_nginx
        echo "nginx's configuration has changed: reloaded"
    fi
}

# replace_nginx VERSION COMPOSE...: replace its container, by that Compose command.
replace_nginx() {
    # With nginx-start, an nginx that stops alone ends within 2 s. A container of a release without it
    # waits for its streams, and is killed.
    local stop_seconds=3
    put_nginx_start "$1"
    "${@:2}" up --detach --wait --no-deps --timeout $stop_seconds nginx
}

# is_configured_otherwise VERSION: whether its files or settings differ from those of nginx.
is_configured_otherwise() {
    local folder
    folder=$(sockets)
    ! diff -rq --exclude conf.d "releases/$1/nginx" nginx >/dev/null ||
        [ "$(cat "$folder/$(other)/nginx.env" 2>/dev/null)" != "$(cat "$folder/$(serving)/nginx.env" 2>/dev/null)" ]
}

# put_nginx_start VERSION: put the version's nginx-start beside the folder nginx, not into it: a
# container may start again while a rollback exchanges that folder. By a rename, because a shell may be
# reading the file before.
put_nginx_start() {
    local file=releases/$1/deploy/nginx-start
    [ ! -e "$file" ] || { cp "$file" nginx-start.part && mv nginx-start.part nginx-start; }
}

# lead_to NAME: point the link at that app. By a rename: nginx, at its next connect, finds the link
# before or after it, and never none.
lead_to() {
    local folder
    folder=$(sockets)
    ln --symbolic --force --no-dereference "$1" "$folder/next"
    mv --no-target-directory "$folder/next" "$folder/current"
}

sockets() { docker volume inspect --format '{{.Mountpoint}}' barestream_sockets; }

# is_nginx_outdated VERSION: whether its container differs from the one that the version would make.
is_nginx_outdated() {
    [ "$(compose_for "$1" config --hash nginx)" != "nginx $(made_as "$(container nginx)")" ]
}

# change_nginx FOLDER: put FOLDER in place of the live configuration, which is kept as nginx.NAME for
# as long as the app of that name serves.
change_nginx() {
    local name
    name=$(serving)
    if [ -n "$name" ] && [ -d nginx ]; then
        rm -rf nginx.part "nginx.$name" && cp -a nginx nginx.part && mv nginx.part "nginx.$name"
    fi
    put_nginx "$1"
}

# put_nginx FOLDER: copy FOLDER into the live one, which the container has mounted.
put_nginx() {
    local file
    mkdir -p nginx
    cp -a "$1/." nginx/
    find nginx -type f -not -path 'nginx/conf.d/*' -printf '%P\n' | while IFS= read -r file; do
        [ -e "$1/$file" ] || rm "nginx/$file"
    done
}

reload_nginx() {
    local id
    id=$(container nginx)
    if docker exec "$id" test -e /usr/local/bin/nginx-start; then
        docker exec "$id" nginx-start reload
        return
    fi
    # A container of a release without nginx-start.
    # shellcheck disable=SC2016  # the container's shell
    docker exec "$id" sh -euc '
        . /etc/nginx/upstream.envsh
        /docker-entrypoint.d/20-envsubst-on-templates.sh >/dev/null
        nginx -p /run/nginx -c /etc/nginx/nginx.conf -t -q
        kill -HUP "$(cat /run/nginx/nginx.pid)"'
}

# Print on or off. With a certificate TLS is on as soon as nginx's container is replaced, because only a
# new container can publish the port.
tls() {
    if [ -e certificates/current ] && { $replaces_nginx || ! is_running nginx || has_tls_port; }; then
        echo on
    else
        echo off
    fi
}

has_tls_port() { docker port "$(container nginx)" 443 >/dev/null 2>&1; }
