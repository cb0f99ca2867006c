#include "script/geo.h"

#include <maxminddb.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/mem.h"

struct moon_geo {
    MMDB_s databases[MOON_GEO_DATABASES];
    size_t count;
};

int moon_geo_open(struct moon_geo **out, const struct moon_str *paths, size_t count, struct moon_diag *diag) {
    struct moon_geo *geo = moon_new(struct moon_geo);
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        char *path = moon_strdup(paths[i]);
        int rc = i < MOON_GEO_DATABASES ? MMDB_open(path, MMDB_MODE_MMAP, &geo->databases[i]) : MMDB_OUT_OF_MEMORY_ERROR;
        if (rc != MMDB_SUCCESS) {
            if (i < MOON_GEO_DATABASES)
                moon_diag_set(diag, path, "is no database of addresses that can be read: %s", MMDB_strerror(rc));
            else
                moon_diag_set(diag, path, "is one too many: at most %d databases are read", MOON_GEO_DATABASES);
            free(path);
            moon_geo_close(&geo);
            return MOON_EREFUSED;
        }
        free(path);
        geo->count++;
    }
    *out = geo;
    return 0;
}

void moon_geo_close(struct moon_geo **pointer) {
    struct moon_geo *geo = *pointer;
    *pointer = NULL;
    if (!geo)
        return;
    for (size_t i = 0; i < geo->count; i++)
        MMDB_close(&geo->databases[i]);
    free(geo);
}

/* The value at a path of the entry; false when there is none, or it is of another type. */
static bool find(MMDB_entry_s *entry, unsigned type, MMDB_entry_data_s *data, const char *const *path) {
    return MMDB_aget_value(entry, data, path) == MMDB_SUCCESS && data->has_data && data->type == type;
}

#define PATH(...) ((const char *const[]){__VA_ARGS__, NULL})

static void text(MMDB_entry_s *entry, struct moon_str *out, const char *const *path) {
    MMDB_entry_data_s data;
    if (!out->len && find(entry, MMDB_DATA_TYPE_UTF8_STRING, &data, path))
        *out = moon_str(data.utf8_string, data.data_size);
}

static void read_entry(MMDB_entry_s *entry, struct moon_geo_facts *facts) {
    MMDB_entry_data_s data, other;
    text(entry, &facts->country, PATH("country", "iso_code"));
    text(entry, &facts->continent, PATH("continent", "code"));
    text(entry, &facts->subdivision_1, PATH("subdivisions", "0", "iso_code"));
    text(entry, &facts->subdivision_2, PATH("subdivisions", "1", "iso_code"));
    text(entry, &facts->region, PATH("subdivisions", "0", "names", "en"));
    text(entry, &facts->city, PATH("city", "names", "en"));
    text(entry, &facts->postal_code, PATH("postal", "code"));
    text(entry, &facts->timezone, PATH("location", "time_zone"));
    if (find(entry, MMDB_DATA_TYPE_BOOLEAN, &data, PATH("country", "is_in_european_union")) && data.boolean)
        facts->in_european_union = true;
    if (!facts->asnum && find(entry, MMDB_DATA_TYPE_UINT32, &data, PATH("autonomous_system_number")))
        facts->asnum = data.uint32;
    if (!facts->metro_code && find(entry, MMDB_DATA_TYPE_UINT16, &data, PATH("location", "metro_code")))
        facts->metro_code = data.uint16;
    if (!facts->has_location && find(entry, MMDB_DATA_TYPE_DOUBLE, &data, PATH("location", "latitude")) &&
        find(entry, MMDB_DATA_TYPE_DOUBLE, &other, PATH("location", "longitude"))) {
        facts->has_location = true;
        facts->latitude = data.double_value;
        facts->longitude = other.double_value;
    }
}

static bool address_of(struct sockaddr_storage *storage, const unsigned char *ip, int ip_len) {
    memset(storage, 0, sizeof *storage);
    if (ip_len == 4) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, ip, 4);
    } else if (ip_len == 16) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;
        v6->sin6_family = AF_INET6;
        memcpy(&v6->sin6_addr, ip, 16);
    } else {
        return false;
    }
    return true;
}

void moon_ffi_geo_find(const struct moon_geo *geo, const unsigned char *ip, int ip_len, struct moon_geo_facts *facts) {
    struct sockaddr_storage address;
    memset(facts, 0, sizeof *facts);
    if (!geo || !address_of(&address, ip, ip_len))
        return;
    for (size_t i = 0; i < geo->count; i++) {
        int error = 0;
        MMDB_lookup_result_s result =
            MMDB_lookup_sockaddr(&geo->databases[i], (const struct sockaddr *)&address, &error);
        if (error == MMDB_SUCCESS && result.found_entry)
            read_entry(&result.entry, facts);
    }
}
