/* script/geo.h — where an address is, by the operator's MaxMind databases (GeoLite2 or GeoIP2: country, city, ASN). The files are mapped
 * once and read by all threads; replacing one takes a restart. Without a database every answer is empty. */
#ifndef MOON_SCRIPT_GEO_H
#define MOON_SCRIPT_GEO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "script/ffi.h"

#define MOON_GEO_DATABASES 4

/* ffi: begin */
struct moon_geo;

/* Views point into the databases. What is not known is empty, 0 or false. */
struct moon_geo_facts {
    struct moon_str country;         /* "PT" */
    struct moon_str continent;       /* "EU" */
    struct moon_str subdivision_1;   /* "11", without the country */
    struct moon_str subdivision_2;
    struct moon_str region;          /* name of the first subdivision, in English */
    struct moon_str city;
    struct moon_str postal_code;
    struct moon_str timezone;
    double latitude, longitude;
    bool has_location;
    bool in_european_union;
    unsigned metro_code;
    unsigned asnum;
};

/* Fills `facts` for an address of 4 or 16 bytes. Any thread. */
MOON_FFI void moon_ffi_geo_find(const struct moon_geo *geo, const unsigned char *ip, int ip_len,
                                struct moon_geo_facts *facts);
/* ffi: end */

/* Opens the databases; of two that know a thing, the first named one is believed. On failure *out is NULL and diag->where the file. */
int moon_geo_open(struct moon_geo **out, const struct moon_str *paths, size_t count, struct moon_diag *diag);
/* After every thread that asks it has ended. Clears *geo; NULL inside is fine. */
void moon_geo_close(struct moon_geo **geo);

#endif
