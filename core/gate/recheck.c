#include "gate/recheck.h"

#include "gate/conn.h"
#include "gate/conn_deadline.h"
#include "gate/route.h"

/* Of one round of the loop: requests of others wait no longer than this for it. */
#define SLICE_NS 2000000

static struct moon_standing standing_of(struct moon_conn *conn, const struct moon_host *host) {
    struct moon_standing standing = {.until = INT64_MAX};
    struct moon_trust *trust = host ? host->terms.trust : NULL;
    standing.host_id = host ? host->id : 0;
    standing.served = host && host->terms.origin;
    if (trust) {
        standing.has_trust = true;
        memcpy(standing.identity, moon_trust_identity(trust), sizeof standing.identity);
    }
    if (trust && conn->tls) {
        struct moon_certificate_facts facts;
        moon_peer_facts(moon_tls_session_peer(conn->tls), trust, moon_worker_now(conn->worker), &facts);
        standing.trusted = facts.verified && !facts.revoked;
        if (standing.trusted)
            standing.until = moon_peer_valid_until(facts.peer);
    }
    return standing;
}

void moon_recheck_remember(struct moon_conn *conn, const struct moon_host *host, bool of_request) {
    conn->standing = standing_of(conn, host);
    conn->standing.of_request = of_request;
}

/* Whoever is trusted under the host's present CAs has lost nothing. Whoever is not has something to gain from a new handshake when
 * other CAs are asked for now. */
static const char *loss(const struct moon_standing *before, const struct moon_standing *now) {
    if (before->served && !now->served)
        return "the host is not served any more";
    if (now->trusted)
        return NULL;
    if (before->trusted)
        return "the client's certificate is not trusted any more";
    if (before->has_trust != now->has_trust || memcmp(before->identity, now->identity, sizeof now->identity) != 0)
        return "the host has other client CAs now";
    return NULL;
}

static void look_at(struct moon_conn *conn) {
    struct moon_request *request = conn->request;
    if (conn->dead || conn->finishing || !conn->established || conn->service->handler)
        return;
    struct moon_str name = conn->standing.of_request && request ? request->host : moon_conn_server_name(conn);
    if (!name.len)
        return;
    const struct moon_host *host = moon_snapshot_find(conn->worker->snapshot, name);
    if (conn->standing.host_id == (host ? host->id : 0))
        return;
    struct moon_standing now = standing_of(conn, host);
    const char *why = loss(&conn->standing, &now);
    bool lasts_otherwise = conn->tunnel && now.until != conn->standing.until;
    now.of_request = conn->standing.of_request;
    conn->standing = now;
    if (!why && host && now.of_request && request && request->asked && !moon_request_passes_still(request, host))
        why = "the rules do not allow it any more";
    if (!why) {
        if (lasts_otherwise)
            moon_conn_watch_anew(conn);
        return;
    }
    if (conn->tunnel)
        moon_conn_close_now(conn, why);
    else if (request || conn->carry.len)
        conn->parting = true;
    else
        moon_conn_close_if_idle(conn);
}

/* What was looked at goes to the end of the list, where newcomers are too; so the first one tells whether there is more to do. */
static void on_idle(uv_idle_t *idle) {
    struct moon_worker *worker = idle->data;
    uint64_t end = uv_hrtime() + SLICE_NS;
    while (!moon_list_is_empty(&worker->conns)) {
        struct moon_conn *conn = MOON_LINKED(worker->conns.next, struct moon_conn, link);
        if (conn->checked == worker->serial)
            break;
        conn->checked = worker->serial;
        moon_list_remove(&conn->link);
        moon_list_append(&worker->conns, &conn->link);
        look_at(conn);
        if (uv_hrtime() >= end)
            return;
    }
    uv_idle_stop(idle);
}

void moon_recheck_begin(struct moon_worker *worker) {
    if (!worker->closing)
        uv_idle_start(&worker->recheck, on_idle);
}

int moon_recheck_open(struct moon_worker *worker) {
    int rc = uv_idle_init(worker->loop, &worker->recheck);
    worker->recheck.data = worker;
    uv_unref((uv_handle_t *)&worker->recheck);
    return rc;
}

void moon_recheck_close(struct moon_worker *worker) {
    uv_close((uv_handle_t *)&worker->recheck, NULL);
}
