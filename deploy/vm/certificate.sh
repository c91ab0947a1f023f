# shellcheck shell=bash
# The certificates on the VM. nginx, the user 101, reads certificates/current at each handshake.

# install_pair FULLCHAIN KEY: make them the current ones, atomically.
#
# certbot's hook has a copy of this function, so it uses nothing outside of itself. It is a subshell,
# whose end releases the lock.
install_pair() (
    certificates=/opt/barestream/certificates
    (umask 022 && mkdir -p "$certificates")
    # The hook and an operator may come here at the same time.
    exec 9<"$certificates"
    flock 9
    # Names that sort by time, to the nanosecond: two may come within a second.
    new=$certificates/$(date -u +%Y-%m-%dT%H-%M-%S.%N)
    mkdir -m 0750 "$new"
    cp -L "$1" "$new/fullchain.pem"
    cp -L "$2" "$new/privkey.pem"
    chmod 0440 "$new"/*.pem
    chown -R 0:101 "$new"
    ln -s "${new##*/}" "$certificates/current.new"
    mv -T "$certificates/current.new" "$certificates/current"
    # Keep the pair before, to go back to.
    find "$certificates" -maxdepth 1 -name '20*' | sort | head -n -2 | xargs -r rm -r
)

# install_from_stdin <TAR: of fullchain.pem and privkey.pem.
install_from_stdin() {
    local folder
    # certbot's next renewal would replace these files.
    [ ! -e "$lineage" ] || certbot --quiet --non-interactive delete --cert-name barestream
    folder=$(mktemp -d)
    tar -C "$folder" --no-same-owner -x fullchain.pem privkey.pem
    install_pair "$folder/fullchain.pem" "$folder/privkey.pem"
    rm -r "$folder"
}

lineage=/etc/letsencrypt/renewal/barestream.conf
challenges=/opt/barestream/acme/.well-known/acme-challenge

# Make a file in the webroot that holds its own name, and print that name.
write_probe() {
    (umask 022 && mkdir -p "$challenges" && printf probe >"$challenges/probe")
    printf probe
}

remove_probe() { rm -f "$challenges/probe"; }

# obtain DOMAIN EMAIL SERVER: get a certificate by certbot, whose timer renews it.
obtain() {
    local hook=/opt/barestream/certificate-renewed due=--keep-until-expiring said
    if ! command -v certbot >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update
        apt-get -qq install -y --no-install-recommends certbot >/dev/null
    fi
    {
        printf '#!/bin/bash\n'
        printf '# Written by deploy/certificate: certbot runs it for each certificate that it receives.\n'
        printf 'set -euo pipefail\n'
        declare -f install_pair
        # shellcheck disable=SC2016  # the hook's variable
        printf 'install_pair "$RENEWED_LINEAGE/fullchain.pem" "$RENEWED_LINEAGE/privkey.pem"\n'
    } >"$hook.new"
    chmod 0755 "$hook.new"
    mv "$hook.new" "$hook"
    # The site has one certificate, whatever its name was before. A change of the CA does not wait until
    # the certificate before expires.
    grep -qsxF "server = $3" "$lineage" || due=--force-renewal
    # Without --quiet, which hides the CA's errors.
    said=$(certbot certonly --non-interactive --agree-tos --no-eff-email --email "$2" \
        --webroot --webroot-path /opt/barestream/acme --domain "$1" --cert-name barestream \
        --key-type ecdsa --renew-with-new-domains "$due" --server "$3" --deploy-hook "$hook" 2>&1) || {
        grep -v -e '^$' -e '^Saving debug log' -e '^Ask for help' <<<"$said" >&2
        return 1
    }
    # certbot runs no hook if it kept the certificate, or got it before there was a hook.
    cmp -s /etc/letsencrypt/live/barestream/fullchain.pem \
        /opt/barestream/certificates/current/fullchain.pem ||
        RENEWED_LINEAGE=/etc/letsencrypt/live/barestream "$hook"
    systemctl --quiet enable --now certbot.timer
}

print_current() { cat /opt/barestream/certificates/current/fullchain.pem; }

# Whether nginx's container publishes its port 443, under any number.
has_tls() {
    local nginx
    nginx=$(docker ps --quiet --filter label=com.docker.compose.project=barestream \
        --filter label=com.docker.compose.service=nginx)
    [ -n "$nginx" ] && docker port "$nginx" 443 >/dev/null 2>&1
}
