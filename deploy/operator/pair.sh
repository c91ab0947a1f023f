# shellcheck shell=bash
# A certificate with its chain, and its key. Needs progress.sh.

# check_pair FULLCHAIN KEY FOLDER: fail unless they can serve; leave them in FOLDER as
# fullchain.pem and privkey.pem, beside each certificate of the chain as 1.pem, 2.pem, ...
check_pair() {
    local fullchain=$1 key=$2 folder=$3 count=0 file said
    for file in "$fullchain" "$key"; do
        [ -r "$file" ] || fail "$file cannot be read" "Name a file that is there and that you may read."
    done
    cp "$fullchain" "$folder/fullchain.pem"
    cp "$key" "$folder/privkey.pem"
    awk -v folder="$folder" '
        /^-----BEGIN CERTIFICATE-----/ { file = folder "/" ++count ".pem" }
        file { print >file }
        /^-----END CERTIFICATE-----/ { close(file); file = "" }' "$fullchain"
    while [ -e "$folder/$((count + 1)).pem" ]; do
        count=$((count + 1))
        said=$(openssl x509 -in "$folder/$count.pem" -noout 2>&1) ||
            fail "certificate $count in $fullchain cannot be read: $said" \
                "Take the file as the CA gave it."
    done
    [ "$count" != 0 ] || fail "$fullchain holds no certificate in PEM" "Convert it: openssl x509 -inform der"
    # An empty passphrase in place of a question.
    said=$(openssl pkey -in "$key" -passin pass: -pubout 2>/dev/null) ||
        fail "$key holds no private key in PEM without a passphrase" "Take it off: openssl pkey -in $key"
    [ "$said" = "$(openssl x509 -in "$folder/1.pem" -noout -pubkey)" ] ||
        fail "$key is not the key of the first certificate in $fullchain" \
            "Name the key that the certificate was asked for with."
    check_chain "$fullchain" "$folder" "$count"
    check_dates "$fullchain" "$folder/1.pem"
}

# Each is signed by the next one, and all are valid now.
check_chain() {
    local fullchain=$1 folder=$2 count=$3 number trusted said
    for number in $(seq "$count"); do
        # The last one's signer is not there: it is taken as it is.
        trusted=$((number < count ? number + 1 : number))
        said=$(openssl verify -partial_chain -trusted "$folder/$trusted.pem" \
            "$folder/$number.pem" 2>&1) ||
            fail "certificate $number of $count in $fullchain: $(grep -m 1 error <<<"$said")" \
                "Put the certificate first, then each that signed the one before; renew what has expired."
    done
    [ "$count" != 1 ] ||
        say "It is alone: with a public CA, browsers ask for the intermediate certificate too."
}

check_dates() {
    local week_seconds=604800
    openssl x509 -in "$2" -noout -checkend "$week_seconds" >/dev/null ||
        say "$1 ends within a week: $(openssl x509 -in "$2" -noout -enddate)"
}
