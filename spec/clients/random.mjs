// Random sequences of valid calls: after every few of them what the API shows and what the edge does are what a small model says,
// also after a crash. So store, document, snapshot and workers agree, whatever the order of changes was.
//
// The seed is printed when a case fails; MOONGATE_SPEC_SEED=N runs it again, MOONGATE_SPEC_STEPS=N makes the walk longer.

import assert from 'node:assert/strict'
import http from 'node:http'
import https from 'node:https'
import fs from 'node:fs'

import { walk } from './support/cases.mjs'
import * as certificates from './support/certificates.mjs'
import { all } from './support/expect.mjs'
import * as gateway from './support/gateway.mjs'

const PHASE = 'http_request_firewall_custom'
const ZONE = 'heron.example'
const NAMES = [ZONE, ...['a', 'b', 'c.d'].map((label) => `${label}.${ZONE}`)]
const PATTERNS = [...NAMES, `*.${ZONE}`, '*']
const SEED = Number(process.env.MOONGATE_SPEC_SEED ?? Math.floor(Math.random() * 2 ** 31))
const STEPS = Number(process.env.MOONGATE_SPEC_STEPS ?? 60)
const STEPS_PER_CHECK = 5

/** Numbers that depend on the seed alone (mulberry32). */
function generator(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit) => Math.floor(next() * limit)
  return { below, pick: (list) => list[below(list.length)], some: (list) => list.filter(() => next() < 0.5), chance: (share) => next() < share }
}

// What rules can say: as the API takes it, and as the model understands it.
const RULES = {
  unverified: (hosts) => `(http.host in {${hosts.map((one) => `"${one}"`).join(' ')}} and not cf.tls_client_auth.cert_verified)`,
  presented: () => 'cf.tls_client_auth.cert_presented',
  path: (path) => `http.request.uri.path eq "${path}"`,
  listed: () => 'ip.src in $clients',
}
const matches = {
  unverified: (hosts, request) => hosts.includes(request.host) && !request.verified,
  presented: (_, request) => request.presented,
  path: (path, request) => request.path === path,
  listed: (_, request) => request.listed,
}

/** What must be there: the model of one zone. */
class Model {
  constructor(cas, origins) {
    Object.assign(this, { cas, origins })
    this.trust = cas.map(() => []) // hostnames of each CA
    this.origin = {} // pattern → index of an origin
    this.rules = []
    this.account_rules = []
    this.listed = false
    this.min_version = '1.0'
    this.min_version_of = {}
    this.paused = false
  }

  verdict(request) {
    const facts = { ...request, listed: this.listed, verified: request.ca !== null && this.trust[request.ca].includes(request.host), presented: false }
    // A certificate is asked for where some CA is trusted, and only then presented.
    facts.presented = request.ca !== null && this.trust.some((hosts) => hosts.includes(request.host))
    for (const rules of [this.account_rules, this.rules]) {
      for (const { kind, given, enabled, action } of rules) {
        if (!enabled || !matches[kind](given, facts)) continue
        if (action === 'block') return 403
        if (action === 'skip') break // the rest of this ruleset
      }
    }
    const origin = this.origin_of(request.host)
    return origin === undefined ? 530 : 200 + origin
  }

  origin_of(host) {
    const parent = `*.${host.split('.').slice(1).join('.')}`
    return this.origin[host] ?? this.origin[host === ZONE ? '' : parent] ?? this.origin['*']
  }

  speaks(host, version) {
    return version === 'TLSv1.3' || (this.min_version_of[host] ?? this.min_version) !== '1.3'
  }
}

const written = ({ kind, given, enabled, action }) => ({
  action, enabled, expression: RULES[kind](given), ...(action === 'skip' ? { action_parameters: { ruleset: 'current' } } : {}),
})

function random_rules(random) {
  return [...Array(random.below(4)).keys()].map(() => {
    const kind = random.pick(Object.keys(RULES))
    const hosts = random.some(NAMES)
    return {
      kind, given: kind === 'unverified' ? (hosts.length > 0 ? hosts : [ZONE]) : random.pick(['/x', '/y']), enabled: random.chance(0.8),
      action: random.pick(['block', 'block', 'log', 'skip']),
    }
  })
}

/** One valid change, made at the gateway and in the model; gives what it did in words. */
const CHANGES = {
  async associate({ client }, ids, model, random) {
    const index = random.below(model.cas.length)
    model.trust[index] = random.some(NAMES)
    await client.certificateAuthorities.hostnameAssociations.update({ zone_id: ids.zone, mtls_certificate_id: ids.cas[index], hostnames: model.trust[index] })
  },
  async put_rules({ client }, ids, model, random) {
    model.rules = random_rules(random)
    await client.rulesets.phases.update(PHASE, { zone_id: ids.zone, rules: model.rules.map(written) })
  },
  async put_account_rules({ client, account_id }, ids, model, random) {
    model.account_rules = random_rules(random).filter(({ action }) => action !== 'skip')
    await client.rulesets.phases.update(PHASE, { account_id, rules: model.account_rules.map(written) })
  },
  async add_rule({ client }, ids, model, random) {
    const [rule] = random_rules(random)
    if (!rule || model.rules.length === 0) return
    const { id } = await client.rulesets.phases.get(PHASE, { zone_id: ids.zone })
    const at = random.below(model.rules.length + 1)
    model.rules.splice(at, 0, rule)
    await client.rulesets.rules.create(id, { zone_id: ids.zone, ...written(rule), position: { index: at + 1 } })
  },
  async delete_rule({ client }, ids, model, random) {
    if (model.rules.length === 0) return
    const { id, rules } = await client.rulesets.phases.get(PHASE, { zone_id: ids.zone })
    const at = random.below(model.rules.length)
    model.rules.splice(at, 1)
    await client.rulesets.rules.delete(rules[at].id, { ruleset_id: id, zone_id: ids.zone })
  },
  async set_origin(gate, ids, model, random) {
    const pattern = random.pick(PATTERNS)
    model.origin[pattern] = random.below(model.origins.length)
    const { status, text } = await gate.call('PUT', `/zones/${ids.zone}/moongate/origins/${encodeURIComponent(pattern)}`, { url: model.origins[model.origin[pattern]] })
    assert.equal(status, 200, text)
  },
  async delete_origin(gate, ids, model, random) {
    const pattern = random.pick(PATTERNS)
    const { status } = await gate.call('DELETE', `/zones/${ids.zone}/moongate/origins/${encodeURIComponent(pattern)}`)
    assert.equal(status, pattern in model.origin ? 200 : 404)
    delete model.origin[pattern]
  },
  async set_min_version({ client }, ids, model, random) {
    model.min_version = random.pick(['1.0', '1.2', '1.3'])
    await client.zones.settings.edit('min_tls_version', { zone_id: ids.zone, value: model.min_version })
  },
  async set_min_version_of({ client }, ids, model, random) {
    const host = random.pick(NAMES)
    const at = { zone_id: ids.zone, setting_id: 'min_tls_version' }
    if (host in model.min_version_of && random.chance(0.5)) {
      delete model.min_version_of[host]
      await client.hostnames.settings.tls.delete(host, at)
    } else {
      model.min_version_of[host] = random.pick(['1.2', '1.3'])
      await client.hostnames.settings.tls.update(host, { ...at, value: model.min_version_of[host] })
    }
  },
  async change_list({ client, account_id }, ids, model, random) {
    model.listed = random.chance(0.3)
    await client.rules.lists.items.update(ids.list, { account_id, body: [{ ip: '192.0.2.0/24' }, ...(model.listed ? [{ ip: '127.0.0.0/8' }] : [])] })
  },
}

/** One request on a connection of its own: the status, 200 + the number of the origin that answered, or 0 without TLS. */
function ask(gate, { host, path, leaf, version }) {
  return new Promise((resolve, reject) => {
    // Deeper names have a certificate only when something is set for them, which is not what is looked at here.
    const request = https.request({
      checkServerIdentity: () => undefined,
      host: '127.0.0.1', port: gate.port, servername: host, path, headers: { host }, ca: gate.local_ca, agent: false, maxVersion: version,
      timeout: 20000, ...(leaf ? { cert: leaf.pem, key: leaf.key } : {}),
    }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200 ? 200 + Number(response.headers['x-origin']) : response.statusCode))
    })
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', (error) => (/alert|EPROTO|PROTOCOL_VERSION/.test(`${error.code} ${error.message}`) ? resolve(0) : reject(error)))
    request.end()
  })
}

async function check_api(gate, ids, model) {
  const { client, account_id } = gate
  const zone_id = ids.zone
  for (const [index, mtls_certificate_id] of ids.cas.entries()) {
    assert.deepEqual((await client.certificateAuthorities.hostnameAssociations.get({ zone_id, mtls_certificate_id })).hostnames, model.trust[index])
  }
  for (const [at, rules] of [[{ zone_id }, model.rules], [{ account_id }, model.account_rules]]) {
    const shown = await client.rulesets.phases.get(PHASE, at).catch((error) => (error.status === 404 ? { rules: [] } : Promise.reject(error)))
    assert.deepEqual(shown.rules.map(({ action, enabled, expression }) => ({ action, enabled, expression })),
      rules.map(written).map(({ action, enabled, expression }) => ({ action, enabled, expression })))
  }
  const origins = (await gate.call('GET', `/zones/${zone_id}/moongate/origins`)).body.result
  assert.deepEqual(Object.fromEntries(origins.map(({ hostname, url }) => [hostname, url])),
    Object.fromEntries(Object.entries(model.origin).map(([pattern, index]) => [pattern, model.origins[index]])))
  assert.equal((await client.zones.settings.get('min_tls_version', { zone_id })).value, model.min_version)
  const settings = await all(client.hostnames.settings.tls.list('min_tls_version', { zone_id }))
  assert.deepEqual(Object.fromEntries(settings.map(({ hostname, value }) => [hostname, value])), model.min_version_of)
}

async function check_edge(gate, model, random) {
  for (const host of NAMES) {
    for (const [ca, leaf] of [[null, null], ...model.cas.map((one, index) => [index, one.leaf])]) {
      const path = random.pick(['/x', '/y', '/z'])
      assert.equal(await ask(gate, { host, path, leaf }), model.verdict({ host, path, ca }), `${host}${path} with ${ca === null ? 'no certificate' : `CA ${ca}`}`)
    }
    const got = await ask(gate, { host, path: '/z', version: 'TLSv1.2' })
    assert.equal(got !== 0, model.speaks(host, 'TLSv1.2'), `${host} over TLS 1.2: ${got}`)
  }
}

async function begin() {
  const gate = await gateway.begin()
  gate.local_ca = fs.readFileSync(gate.ca_path)
  gate.servers = [0, 1].map((index) => http.createServer((request, response) => {
    response.writeHead(200, { 'x-origin': index }).end()
  }))
  await Promise.all(gate.servers.map((server) => new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve) })))
  return gate
}

async function end(gate, failed) {
  for (const server of gate.servers) {
    server.close()
    server.closeAllConnections()
  }
  await gateway.end(gate, failed)
}

walk('random changes', { begin, end }, (it) => {
  it(`${STEPS} of them leave API and edge as the model says`, async (gate) => {
    const random = generator(SEED)
    const cas = [0, 1].map((index) => {
      const root = certificates.ca(`Random ${index}`)
      return { root, leaf: certificates.leaf(root, `device ${index}`) }
    })
    const model = new Model(cas, gate.servers.map((server) => `http://127.0.0.1:${server.address().port}`))
    const { client, account_id } = gate
    const ids = { zone: await gate.zone(ZONE), cas: [], list: (await client.rules.lists.create({ account_id, name: 'clients', kind: 'ip' })).id }
    for (const { root } of cas) ids.cas.push((await client.mtlsCertificates.create({ account_id, ca: true, certificates: root.pem })).id)
    const done = []
    try {
      for (let step = 1; step <= STEPS; step += 1) {
        const change = random.pick(Object.keys(CHANGES))
        done.push(change)
        await CHANGES[change](gate, ids, model, random)
        if (step === Math.floor(STEPS / 2)) {
          done.push('crash')
          await gate.crash()
        }
        if (step % STEPS_PER_CHECK === 0) {
          await check_api(gate, ids, model)
          await check_edge(gate, model, random)
        }
      }
    } catch (error) {
      error.message = `MOONGATE_SPEC_SEED=${SEED}, after ${done.length} changes (${done.slice(-STEPS_PER_CHECK).join(', ')}): ${error.message}`
      error.stack = `${error.message}\n${error.stack}`
      throw error
    }
  }, 60000 + STEPS * 1000)
})
