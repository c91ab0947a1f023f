# shellcheck shell=bash
# Checks a certificate, its chain and its key. Needs progress.sh.

# check_pair FULLCHAIN KEY FOLDER: fail unless nginx can serve with them. Leaves them in FOLDER as
# fullchain.pem and privkey.pem, and each certificate of the chain as 1.pem, 2.pem, ...
check_pair() {
    local fullchain=$1 key=$2 folder=$3 count=0 file said
    for file in "$fullchain" "$key"; do
        [ -r "$file" ] || fail "$file cannot be read" "Name a file that exists and that you may read."
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
                "Use the file as the CA issued it."
    done
    [ "$count" != 0 ] || fail "$fullchain holds no certificate in PEM" "Convert it: openssl x509 -inform der -in $fullchain -out fullchain.pem; then name that file."
    # With an empty passphrase openssl fails where it would ask for one.
    said=$(openssl pkey -in "$key" -passin pass: -pubout 2>/dev/null) ||
        fail "$key holds no private key in PEM without a passphrase" "Convert it, or remove the passphrase: openssl pkey -in $key -out privkey.pem; then name that file."
    [ "$said" = "$(openssl x509 -in "$folder/1.pem" -noout -pubkey)" ] ||
        fail "$key is not the key of the first certificate in $fullchain" \
            "Name the key that the certificate was requested with."
    check_chain "$fullchain" "$folder" "$count"
    check_dates "$fullchain" "$folder/1.pem"
}

# Check that each certificate is signed by the next one, and that all are valid now.
check_chain() {
    local fullchain=$1 folder=$2 count=$3 number trusted said
    for number in $(seq "$count"); do
        # The signer of the last one is not in the file, so the last one is trusted.
        trusted=$((number < count ? number + 1 : number))
        said=$(openssl verify -partial_chain -trusted "$folder/$trusted.pem" \
            "$folder/$number.pem" 2>&1) ||
            fail "certificate $number of $count in $fullchain is not valid: $(grep -m 1 error <<<"$said")" \
                "Put the certificate first, then each that signed the one before it; renew those that have expired."
    done
    [ "$count" != 1 ] ||
        say "note: $fullchain holds one certificate; with a public CA, browsers need the intermediate certificate too"
}

check_dates() {
    local week_seconds=604800
    openssl x509 -in "$2" -noout -checkend "$week_seconds" >/dev/null ||
        say "note: $1 expires within a week: $(openssl x509 -in "$2" -noout -enddate)"
}
