/* tls/wellformed.h — what RFC 5280 forbids in a certificate and OpenSSL lets pass. Two parsers can read such a
 * certificate in two ways, and one of them may be the one that its issuer meant. Any thread. */
#ifndef MOON_TLS_WELLFORMED_H
#define MOON_TLS_WELLFORMED_H

#include <openssl/x509.h>

/* X509_V_OK, or what is wrong with it: extensions before version 3 or a version that does not exist, an extension that
 * stands twice, bytes behind the value of an extension that OpenSSL reads. */
int moon_wellformed_check(const X509 *certificate);

#endif
