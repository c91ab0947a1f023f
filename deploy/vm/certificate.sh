# shellcheck shell=bash
# The certificates on the VM. nginx, the user 101, reads certificates/current at each handshake.

# Written into the hook too, so it needs nothing outside of itself; a shell of its own, which lets go
# of the lock.
#
# install_pair FULLCHAIN KEY: make them the current ones, from one instant to the next.
install_pair() (
    certificates=/opt/barestream/certificates
    (umask 022 && mkdir -p "$certificates")
    # A rollout may run meanwhile: to it, as to nginx, the link is always whole.
    exec 9<"$certificates"
    flock 9
    # Names that sort by time; the hook and an operator may come within a second.
    new=$certificates/$(date -u +%Y-%m-%dT%H-%M-%S.%N)
    mkdir -m 0750 "$new"
    cp -L "$1" "$new/fullchain.pem"
    cp -L "$2" "$new/privkey.pem"
    chmod 0440 "$new"/*.pem
    chown -R 0:101 "$new"
    ln -s "${new##*/}" "$certificates/current.new"
    mv -T "$certificates/current.new" "$certificates/current"
    # The one before stays, to go back to.
    find "$certificates" -maxdepth 1 -name '20*' | sort | head -n -2 | xargs -r rm -r
)

# A tar of fullchain.pem and privkey.pem.
install_from_stdin() {
    local folder
    # Or its next renewal would come over them.
    [ ! -e "$lineage" ] || certbot --quiet --non-interactive delete --cert-name barestream
    folder=$(mktemp -d)
    tar -C "$folder" --no-same-owner -x fullchain.pem privkey.pem
    install_pair "$folder/fullchain.pem" "$folder/privkey.pem"
    rm -r "$folder"
}

lineage=/etc/letsencrypt/renewal/barestream.conf
challenges=/opt/barestream/acme/.well-known/acme-challenge

# Print the name of a file that holds its own name.
write_probe() {
    (umask 022 && mkdir -p "$challenges" && printf probe >"$challenges/probe")
    printf probe
}

remove_probe() { rm -f "$challenges/probe"; }

# obtain DOMAIN EMAIL SERVER: have certbot get a certificate and renew it by its timer.
obtain() {
    local hook=/opt/barestream/certificate-renewed due=--keep-until-expiring said
    if ! command -v certbot >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update
        apt-get -qq install -y --no-install-recommends certbot >/dev/null
    fi
    {
        printf '#!/bin/bash\n'
        printf '# Written by deploy/certificate: certbot runs it for each certificate that it got.\n'
        printf 'set -euo pipefail\n'
        declare -f install_pair
        # shellcheck disable=SC2016  # the hook's variable
        printf 'install_pair "$RENEWED_LINEAGE/fullchain.pem" "$RENEWED_LINEAGE/privkey.pem"\n'
    } >"$hook.new"
    chmod 0755 "$hook.new"
    mv "$hook.new" "$hook"
    # One for the site, whatever it was called before. Another CA's is not waited out.
    grep -qsxF "server = $3" "$lineage" || due=--force-renewal
    # Not --quiet, which keeps to itself what the CA said.
    said=$(certbot certonly --non-interactive --agree-tos --no-eff-email --email "$2" \
        --webroot --webroot-path /opt/barestream/acme --domain "$1" --cert-name barestream \
        --key-type ecdsa --renew-with-new-domains "$due" --server "$3" --deploy-hook "$hook" 2>&1) || {
        grep -v -e '^$' -e '^Saving debug log' -e '^Ask for help' <<<"$said" >&2
        return 1
    }
    # Kept as it was, or from before the hook: certbot does not run it then.
    cmp -s /etc/letsencrypt/live/barestream/fullchain.pem \
        /opt/barestream/certificates/current/fullchain.pem ||
        RENEWED_LINEAGE=/etc/letsencrypt/live/barestream "$hook"
    systemctl --quiet enable --now certbot.timer
}

print_current() { cat /opt/barestream/certificates/current/fullchain.pem; }

# Whether nginx's container has port 443, by whatever number it is published.
has_tls() {
    local nginx
    nginx=$(docker ps --quiet --filter label=com.docker.compose.project=barestream \
        --filter label=com.docker.compose.service=nginx)
    [ -n "$nginx" ] && docker port "$nginx" 443 >/dev/null 2>&1
}
