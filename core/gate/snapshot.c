#include "gate/snapshot.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hostname.h"
#include "base/mem.h"

/* Open addressing over pointers whose key the caller knows how to read; sized once, at most half full. */
struct table {
    const void **slots;
    size_t mask; /* slots - 1; 0 with slots NULL: empty */
};

struct moon_section {
    unsigned references; /* atomic */
    bool sealed;
    struct moon_str domain;
    struct moon_str rules;
    struct moon_tls_policy *policy;
    struct moon_host **hosts;
    size_t host_count;
    size_t host_room;
    size_t guest_count;
    struct table names;          /* by name, wildcards as they are written */
    const struct moon_host *rest; /* "*" */
    const struct moon_host *repeated; /* a name that stands twice; NULL: none does */
};

struct moon_snapshot {
    unsigned references; /* atomic */
    uint64_t generation;
    struct moon_tls_policy *fallback;
    struct moon_section **sections;
    size_t section_count;
    struct table domains;
    struct table guests; /* of all sections, by name */
};

static void table_init(struct table *table, size_t entries) {
    size_t size = 8;
    while (size < entries * 2)
        size *= 2;
    table->slots = moon_alloc(size * sizeof *table->slots);
    table->mask = size - 1;
}

typedef struct moon_str (*key_fn)(const void *entry);

/* The slot that holds `key`, or the free one where it would go. */
static const void **table_slot(const struct table *table, struct moon_str key, key_fn key_of) {
    size_t i = moon_hash(key) & table->mask;
    while (table->slots[i] && !moon_str_equal(key_of(table->slots[i]), key))
        i = (i + 1) & table->mask;
    return &table->slots[i];
}

static struct moon_str host_key(const void *entry) {
    return ((const struct moon_host *)entry)->name;
}

static struct moon_str section_key(const void *entry) {
    return ((const struct moon_section *)entry)->domain;
}

struct moon_section *moon_section_new(struct moon_str domain, struct moon_str rules, struct moon_tls_policy *policy) {
    struct moon_section *section = moon_new(struct moon_section);
    section->references = 1;
    section->domain = moon_str(moon_strdup(domain), domain.len);
    section->rules = moon_str(moon_strdup(rules), rules.len);
    section->policy = moon_tls_policy_ref(policy);
    return section;
}

static bool is_below(struct moon_str name, struct moon_str domain) {
    if (moon_str_equal(name, domain))
        return true;
    return name.len > domain.len && name.data[name.len - domain.len - 1] == '.' && moon_str_ends_with(name, domain);
}

static bool is_host_pattern(const struct moon_section *section, struct moon_str name, bool guest) {
    char normal[MOON_HOSTNAME_MAX + 1];
    if (moon_str_equal(name, MOON_STR("*")))
        return !guest;
    if (moon_str_starts_with(name, MOON_STR("*.")))
        name = moon_str(name.data + 2, name.len - 2);
    int len = moon_hostname_normalise(normal, name, false);
    return len >= 0 && moon_str_equal(moon_str(normal, (size_t)len), name) && is_below(name, section->domain) != guest;
}

static int add(struct moon_section *section, struct moon_str name, const struct moon_host_terms *terms, bool guest,
               struct moon_diag *diag) {
    moon_assert(!section->sealed);
    if (!is_host_pattern(section, name, guest)) {
        moon_diag_set(diag, "hosts", "\"%.*s\" is no normalised hostname %s %s",
                      (int)(name.len > 253 ? 253 : name.len), name.data, guest ? "outside of" : "of",
                      section->domain.data);
        return MOON_EREFUSED;
    }
    if (section->host_count == section->host_room) {
        section->host_room = section->host_room ? section->host_room * 2 : 8;
        section->hosts = moon_realloc(section->hosts, section->host_room * sizeof *section->hosts);
    }
    struct moon_host *host = moon_new(struct moon_host);
    host->name = moon_str(moon_strdup(name), name.len);
    host->section = section;
    host->guest = guest;
    section->guest_count += guest;
    host->terms = *terms;
    host->terms.policy = moon_tls_policy_ref(terms->policy ? terms->policy : section->policy);
    host->terms.trust = terms->trust ? moon_trust_ref(terms->trust) : NULL;
    host->terms.origin = terms->origin ? moon_origin_terms_ref(terms->origin) : NULL;
    if (terms->metadata.len)
        host->terms.metadata = moon_str(moon_strdup(terms->metadata), terms->metadata.len);
    section->hosts[section->host_count++] = host;
    return 0;
}

int moon_section_add(struct moon_section *section, struct moon_str name, const struct moon_host_terms *terms,
                     struct moon_diag *diag) {
    return add(section, name, terms, false, diag);
}

int moon_section_add_guest(struct moon_section *section, struct moon_str name, const struct moon_host_terms *terms,
                           struct moon_diag *diag) {
    return add(section, name, terms, true, diag);
}

void moon_section_seal(struct moon_section *section, uint32_t *next_id) {
    moon_assert(!section->sealed);
    const struct moon_host_terms plain = {0};
    bool has_rest = false;
    for (size_t i = 0; i < section->host_count; i++)
        has_rest |= moon_str_equal(section->hosts[i]->name, MOON_STR("*"));
    if (!has_rest)
        moon_assert(moon_section_add(section, MOON_STR("*"), &plain, NULL) == 0);
    table_init(&section->names, section->host_count);
    for (size_t i = 0; i < section->host_count; i++) {
        struct moon_host *host = section->hosts[i];
        const void **slot = table_slot(&section->names, host->name, host_key);
        host->id = (*next_id)++;
        if (!*slot)
            *slot = host;
        else /* the first one stands, and moon_snapshot_new refuses the section */
            section->repeated = host;
        if (moon_str_equal(host->name, MOON_STR("*")) && !section->rest)
            section->rest = host;
    }
    section->sealed = true;
}

struct moon_section *moon_section_ref(struct moon_section *section) {
    __atomic_add_fetch(&section->references, 1, __ATOMIC_RELAXED);
    return section;
}

void moon_section_unref(struct moon_section **pointer) {
    struct moon_section *section = *pointer;
    *pointer = NULL;
    if (!section || __atomic_sub_fetch(&section->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t i = 0; i < section->host_count; i++) {
        struct moon_host *host = section->hosts[i];
        moon_tls_policy_unref(&host->terms.policy);
        moon_trust_unref(&host->terms.trust);
        moon_origin_terms_unref(&host->terms.origin);
        if (host->terms.metadata.len)
            free((char *)host->terms.metadata.data);
        free((char *)host->name.data);
        free(host);
    }
    moon_tls_policy_unref(&section->policy);
    free(section->hosts);
    free(section->names.slots);
    free((char *)section->domain.data);
    free((char *)section->rules.data);
    free(section);
}

struct moon_str moon_section_domain(const struct moon_section *section) {
    return section->domain;
}

struct moon_str moon_section_rules(const struct moon_section *section) {
    return section->rules;
}

const struct moon_host *moon_section_host(const struct moon_section *section, size_t index) {
    return index < section->host_count ? section->hosts[index] : NULL;
}

static int check_section(const struct moon_section *section, struct moon_diag *diag) {
    moon_assert(section->sealed);
    if (!section->repeated)
        return 0;
    moon_diag_set(diag, "hosts", "\"%s\" stands twice in %s", section->repeated->name.data, section->domain.data);
    return MOON_EREFUSED;
}

/* One table for the guests of all sections, so that a lookup costs the same however many sections have some. */
static int gather_guests(struct moon_snapshot *snapshot, struct moon_diag *diag) {
    size_t count = 0;
    for (size_t i = 0; i < snapshot->section_count; i++)
        count += snapshot->sections[i]->guest_count;
    table_init(&snapshot->guests, count);
    for (size_t i = 0; i < snapshot->section_count && count; i++) {
        const struct moon_section *section = snapshot->sections[i];
        for (size_t j = 0; j < section->host_count && section->guest_count; j++) {
            const struct moon_host *host = section->hosts[j];
            const void **slot = host->guest ? table_slot(&snapshot->guests, host->name, host_key) : NULL;
            if (slot && *slot) {
                const struct moon_host *other = *slot;
                moon_diag_set(diag, "hosts", "\"%s\" is a guest of both %s and %s", host->name.data,
                              other->section->domain.data, section->domain.data);
                return MOON_EREFUSED;
            }
            if (slot)
                *slot = host;
        }
    }
    return 0;
}

int moon_snapshot_new(struct moon_snapshot **out, uint64_t generation, struct moon_section **sections, size_t count,
                      struct moon_tls_policy *fallback, struct moon_diag *diag) {
    struct moon_snapshot *snapshot = moon_new(struct moon_snapshot);
    int rc = 0;
    *out = NULL;
    snapshot->references = 1;
    snapshot->generation = generation;
    snapshot->fallback = fallback ? moon_tls_policy_ref(fallback) : NULL;
    snapshot->sections = moon_alloc((count + 1) * sizeof *snapshot->sections);
    table_init(&snapshot->domains, count);
    for (size_t i = 0; i < count && rc == 0; i++) {
        const void **slot = table_slot(&snapshot->domains, sections[i]->domain, section_key);
        if (*slot) {
            moon_diag_set(diag, "sections", "\"%s\" stands twice", sections[i]->domain.data);
            rc = MOON_EREFUSED;
            break;
        }
        if ((rc = check_section(sections[i], diag)) != 0)
            break;
        *slot = sections[i];
        snapshot->sections[snapshot->section_count++] = moon_section_ref(sections[i]);
    }
    if (rc == 0)
        rc = gather_guests(snapshot, diag);
    if (rc) {
        moon_snapshot_unref(&snapshot);
        return rc;
    }
    *out = snapshot;
    return 0;
}

struct moon_snapshot *moon_snapshot_ref(struct moon_snapshot *snapshot) {
    __atomic_add_fetch(&snapshot->references, 1, __ATOMIC_RELAXED);
    return snapshot;
}

void moon_snapshot_unref(struct moon_snapshot **pointer) {
    struct moon_snapshot *snapshot = *pointer;
    *pointer = NULL;
    if (!snapshot || __atomic_sub_fetch(&snapshot->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t i = 0; i < snapshot->section_count; i++)
        moon_section_unref(&snapshot->sections[i]);
    moon_tls_policy_unref(&snapshot->fallback);
    free(snapshot->sections);
    free(snapshot->domains.slots);
    free(snapshot->guests.slots);
    free(snapshot);
}

uint64_t moon_snapshot_generation(const struct moon_snapshot *snapshot) {
    return snapshot->generation;
}

struct moon_tls_policy *moon_snapshot_fallback(const struct moon_snapshot *snapshot) {
    return snapshot->fallback;
}

struct moon_section *moon_snapshot_section(const struct moon_snapshot *snapshot, size_t index) {
    return index < snapshot->section_count ? snapshot->sections[index] : NULL;
}

/* "a.b" → "b"; false when there is no further label. */
static bool one_label_up(struct moon_str *name) {
    const char *dot = name->len ? memchr(name->data, '.', name->len) : NULL;
    if (!dot)
        return false;
    size_t step = (size_t)(dot - name->data) + 1;
    name->data += step;
    name->len -= step;
    return true;
}

/* The entry for the wildcard one label above `name`; NULL when there is none. */
static const struct moon_host *find_wildcard(const struct table *names, struct moon_str name) {
    char pattern[MOON_HOSTNAME_MAX + 3];
    if (!one_label_up(&name))
        return NULL;
    pattern[0] = '*';
    pattern[1] = '.';
    memcpy(pattern + 2, name.data, name.len);
    return *table_slot(names, moon_str(pattern, name.len + 2), host_key);
}

static const struct moon_host *find_in(const struct moon_section *section, struct moon_str name) {
    const struct moon_host *host = *table_slot(&section->names, name, host_key);
    if (!host && !moon_str_equal(name, section->domain))
        host = find_wildcard(&section->names, name);
    return host ? host : section->rest;
}

static const struct moon_host *find_guest(const struct moon_snapshot *snapshot, struct moon_str name) {
    const struct moon_host *host = *table_slot(&snapshot->guests, name, host_key);
    return host ? host : find_wildcard(&snapshot->guests, name);
}

const struct moon_host *moon_snapshot_find(const struct moon_snapshot *snapshot, struct moon_str name) {
    struct moon_str domain = name;
    if (!name.len || name.len > MOON_HOSTNAME_MAX || name.data[0] == '[')
        return NULL;
    do {
        const struct moon_section *section = *table_slot(&snapshot->domains, domain, section_key);
        if (section)
            return find_in(section, name);
    } while (one_label_up(&domain));
    return find_guest(snapshot, name);
}
