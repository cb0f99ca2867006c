#include "http/head.h"

const struct moon_http_field *moon_http_find(const struct moon_http_head *head, struct moon_str name) {
    for (size_t i = 0; i < head->field_count; i++)
        if (moon_str_equal_nocase(head->fields[i].name, name))
            return &head->fields[i];
    return NULL;
}

bool moon_http_lists(const struct moon_http_head *head, struct moon_str name, struct moon_str element) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (!moon_str_equal_nocase(head->fields[i].name, name))
            continue;
        struct moon_str list = head->fields[i].value, each;
        while (moon_str_next_element(&list, &each))
            if (moon_str_equal_nocase(each, element))
                return true;
    }
    return false;
}

bool moon_http_is_hop_by_hop(const struct moon_http_head *head, struct moon_str name) {
    static const struct moon_str known[] = {
        {"connection", 10},     {"keep-alive", 10},          {"proxy-connection", 16}, {"te", 2},
        {"trailer", 7},         {"transfer-encoding", 17},   {"upgrade", 7},           {"proxy-authenticate", 18},
        {"http2-settings", 14}, {"proxy-authorization", 19},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (moon_str_equal_nocase(known[i], name))
            return true;
    return moon_http_lists(head, MOON_STR("connection"), name);
}
