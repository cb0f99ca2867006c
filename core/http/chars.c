#include "http/chars.h"

/* One letter a kind, so that the table below can be read against an ASCII chart. */
enum {
    o = 0,
    V = MOON_HTTP_VALUE,
    K = MOON_HTTP_VALUE | MOON_HTTP_TOKEN,
    G = MOON_HTTP_VALUE | MOON_HTTP_TARGET,
    T = MOON_HTTP_VALUE | MOON_HTTP_TARGET | MOON_HTTP_TOKEN,
};

/* clang-format off */
const unsigned char moon_http_chars[256] = {
    /*         0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f */
    /* 0x00 */ o, o, o, o, o, o, o, o, o, V, o, o, o, o, o, o, /* HTAB */
    /* 0x10 */ o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o,
    /* 0x20 */ V, T, V, K, T, T, T, T, G, G, T, T, G, T, T, G, /*  !"#$%&'()*+,-./ */
    /* 0x30 */ T, T, T, T, T, T, T, T, T, T, G, G, V, G, V, G, /* 0123456789:;<=>? */
    /* 0x40 */ G, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, /* @ABCDEFGHIJKLMNO */
    /* 0x50 */ T, T, T, T, T, T, T, T, T, T, T, G, V, G, K, T, /* PQRSTUVWXYZ[\]^_ */
    /* 0x60 */ K, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, /* `abcdefghijklmno */
    /* 0x70 */ T, T, T, T, T, T, T, T, T, T, T, V, K, V, T, o, /* pqrstuvwxyz{|}~ */
    [0x80 ... 0xff] = V,
};
/* clang-format on */
