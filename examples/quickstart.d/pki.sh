# pki.sh — private CAs and client certificates with the openssl command line; sourced by examples/quickstart. Everything is made
# once and kept, so that certificates of an earlier run go on working.

# make_ca DIRECTORY NAME SUBJECT: DIRECTORY/NAME.pem and .key
make_ca() {
    local base=$1/$2
    [ -s "$base.pem" ] && return
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 3650 -subj "$3" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout "$base.key" -out "$base.pem" 2>/dev/null
}

# make_client DIRECTORY NAME CA SUBJECT: a client certificate signed by DIRECTORY/CA.pem
make_client() {
    local base=$1/$2 ca=$1/$3
    [ -s "$base.pem" ] && return
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -subj "$4" \
        -keyout "$base.key" -out "$base.csr" 2>/dev/null
    openssl x509 -req -in "$base.csr" -CA "$ca.pem" -CAkey "$ca.key" -CAcreateserial -days 825 -sha256 -out "$base.pem" \
        -extfile <(printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n') \
        2>/dev/null
    rm -f "$base.csr"
}
