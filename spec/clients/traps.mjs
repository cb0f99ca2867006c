// Places where answers that look harmless break a client: page past the end, swapped types, ids that change, texts that are written
// anew. One case each, on the bytes that are sent, so that it holds for clients which are not run here.

import assert from 'node:assert/strict'

import { walk } from './support/cases.mjs'
import * as certificates from './support/certificates.mjs'
import { HEX, NO_HEX, NO_UUID, UUID } from './support/expect.mjs'
import * as gateway from './support/gateway.mjs'

const PHASE = 'http_request_firewall_custom'
const RULE = { action: 'block', expression: 'http.host eq "api.heron.example"' }

/** The gateway, with what most cases need: a zone `z`, an account `a`, a CA, and calls that say what they expect. */
async function begin() {
  const gate = await gateway.begin()
  gate.z = `/zones/${await gate.zone('heron.example')}`
  gate.a = `/accounts/${gate.account_id}`
  gate.root = certificates.ca('Device Root')
  gate.expect = async (status, method, target, body, headers) => {
    const answer = await gate.call(method, target, body, headers)
    assert.equal(answer.status, status, `${method} ${target}: ${answer.text}`)
    return answer
  }
  gate.ok = async (method, target, body, headers) => (await gate.expect(200, method, target, body, headers)).body.result
  gate.ca = await gate.ok('POST', `${gate.a}/mtls_certificates`, { ca: true, certificates: gate.root.pem, name: 'devices' })
  return gate
}

const associations = (gate) => `${gate.z}/certificate_authorities/hostname_associations`
const entry_point = (gate) => `${gate.z}/rulesets/phases/${PHASE}/entrypoint`
const code = ({ body }) => body.errors[0].code

walk('traps', { begin, end: gateway.end }, (it) => {
  it('a page past the end is an empty page', async (gate) => {
    for (const target of ['/zones', '/accounts', '/memberships', '/user/tokens', `${gate.z}/client_certificates`, `${gate.z}/filters`,
      `${gate.z}/firewall/rules`, `${gate.z}/custom_certificates`, `${gate.z}/dns_records`, `${gate.a}/mtls_certificates`,
      `${gate.a}/access/certificates`, `${gate.a}/audit_logs`, `${gate.a}/tokens`]) {
      const { body } = await gate.expect(200, 'GET', `${target}?page=1000&per_page=20`)
      assert.deepEqual(body.result, [], target)
      assert.equal(body.result_info.count, 0, target)
      for (const [key, value] of Object.entries(body.result_info)) assert.equal(typeof value, 'number', `${target}: ${key}`)
    }
  })
  it('JSON is read whatever its content type says', async (gate) => {
    for (const type of ['text/plain;charset=UTF-8', 'application/octet-stream', '']) {
      await gate.ok('PUT', associations(gate), '{"hostnames":[]}', { 'content-type': type })
    }
    const form = await gate.expect(400, 'PUT', associations(gate), 'hostnames=', { 'content-type': 'application/x-www-form-urlencoded' })
    assert.equal(code(form), 6003)
    assert.equal(form.body.errors[0].error_chain[0].code, 6105)
  })
  it('a vanished object is 404', async (gate) => {
    for (const target of [`/zones/${NO_HEX}`, `${gate.z}/rulesets/${NO_HEX}`, `${gate.a}/rules/lists/${NO_HEX}`, `${gate.a}/mtls_certificates/${NO_UUID}`,
      `${gate.z}/client_certificates/${NO_UUID}`, `${gate.z}/custom_certificates/${NO_UUID}`, `${gate.z}/origin_tls_client_auth/${NO_UUID}`,
      `${gate.a}/access/certificates/${NO_UUID}`, `/user/tokens/${NO_HEX}`, `${gate.z}/dns_records/${NO_HEX}`, `${gate.z}/filters/${NO_HEX}`]) {
      await gate.expect(404, 'GET', target)
      if (!/rulesets/.test(target)) await gate.expect(404, 'DELETE', target)
    }
  })
  it('a mere permission problem is 403, also for what does not exist', async (gate) => {
    const headers = { authorization: `Bearer ${await gate.limited_token('DNS Read')}` }
    for (const target of [gate.z, `${gate.z}/rulesets`, `/zones/${NO_HEX}`, `${gate.a}/mtls_certificates/${gate.ca.id}`, `${gate.a}/mtls_certificates/${NO_UUID}`]) {
      assert.equal(code(await gate.expect(403, 'GET', target, undefined, headers)), 10000)
    }
  })
  it('a permanent conflict is 400, so that no client sends it three times', async (gate) => {
    await gate.expect(400, 'POST', `${gate.a}/mtls_certificates`, { ca: true, certificates: gate.root.pem })
    await gate.expect(400, 'POST', '/zones', { name: 'heron.example' })
  })
  it('a PEM text and the order of hostnames are kept as they came', async (gate) => {
    const text = `comment\r\n${certificates.ca('Other').pem.replace(/\n/g, '\r\n')}\r\n\r\n`
    const made = await gate.ok('POST', `${gate.a}/mtls_certificates`, { ca: true, certificates: text })
    assert.equal((await gate.ok('GET', `${gate.a}/mtls_certificates/${made.id}`)).certificates, text)
    const hostnames = ['z.heron.example', 'a.heron.example', 'm.heron.example']
    await gate.ok('PUT', associations(gate), { hostnames, mtls_certificate_id: made.id })
    assert.deepEqual((await gate.ok('GET', `${associations(gate)}?mtls_certificate_id=${made.id}`)).hostnames, hostnames)
    const access = await gate.expect(201, 'POST', `${gate.a}/access/certificates`, { name: 'x', certificate: gate.root.pem, associated_hostnames: hostnames })
    const { id } = access.body.result
    assert.deepEqual((await gate.ok('GET', `${gate.a}/access/certificates/${id}`)).associated_hostnames, hostnames)
    assert.deepEqual((await gate.ok('PUT', `${gate.a}/access/certificates/${id}`, {})).associated_hostnames, [], 'a missing list empties')
    await gate.ok('PUT', associations(gate), { hostnames: [], mtls_certificate_id: made.id })
  })
  it('settings of hostnames are a list', async (gate) => {
    assert.deepEqual(await gate.ok('GET', `${gate.z}/hostnames/settings/min_tls_version`), [])
  })
  it('serial numbers are texts: decimal of an upload, hexadecimal of the managed CA', async (gate) => {
    assert.match(gate.ca.serial_number, /^\d{20,}$/)
    const { serial_number } = await gate.ok('POST', `${gate.z}/client_certificates`, { csr: certificates.request('/CN=x').pem, validity_days: 1 })
    assert.match(serial_number, /^[0-9a-f]+$/)
  })
  it('versions and TLS versions are texts; counts, priorities and prices are numbers', async (gate) => {
    const ruleset = await gate.ok('PUT', entry_point(gate), { rules: [RULE] })
    assert.strictEqual(ruleset.version, '1')
    assert.strictEqual(ruleset.rules[0].version, '1')
    const list = await gate.ok('POST', `${gate.a}/rules/lists`, { name: 'n', kind: 'ip' })
    assert.strictEqual(list.num_items, 0)
    assert.strictEqual(list.num_referencing_filters, 0)
    const zone = await gate.ok('GET', gate.z)
    assert.strictEqual(zone.development_mode, 0)
    assert.strictEqual(zone.plan.price, 0)
    assert.strictEqual((await gate.ok('GET', `${gate.z}/settings/min_tls_version`)).value, '1.0')
  })
  it('ids have the form of their kind', async (gate) => {
    assert.match(gate.ca.id, UUID)
    const { id, rules } = await gate.ok('PUT', entry_point(gate), { rules: [RULE] })
    assert.match(id, HEX)
    assert.match(rules[0].id, HEX)
    for (const malformed of [NO_HEX.slice(1), NO_UUID, gate.account_id.toUpperCase()]) {
      assert.equal(code(await gate.expect(404, 'GET', `/accounts/${malformed}/mtls_certificates`)), 7003)
    }
  })
  it('a ruleset is deleted without a word', async (gate) => {
    const { id } = await gate.ok('PUT', entry_point(gate), { rules: [] })
    const answer = await gate.expect(204, 'DELETE', `${gate.z}/rulesets/${id}`, undefined, { accept: '*/*' })
    assert.equal(answer.text, '')
  })
  it('deletes of certificates answer with the certificate, those of zones and lists with the id alone', async (gate) => {
    const { pem } = certificates.ca('Short-lived')
    const made = await gate.ok('POST', `${gate.a}/mtls_certificates`, { ca: true, certificates: pem })
    assert.equal((await gate.ok('DELETE', `${gate.a}/mtls_certificates/${made.id}`)).certificates, pem)
    const zone = await gate.ok('POST', '/zones', { name: 'gone.example' })
    assert.deepEqual(await gate.ok('DELETE', `/zones/${zone.id}`), { id: zone.id })
    const list = await gate.ok('POST', `${gate.a}/rules/lists`, { name: 'gone', kind: 'ip' })
    assert.deepEqual(await gate.ok('DELETE', `${gate.a}/rules/lists/${list.id}`), { id: list.id })
  })
  it('a PATCH of a rule replaces it; only its position moves alone; the answer is the ruleset', async (gate) => {
    const ruleset = await gate.ok('PUT', entry_point(gate), { rules: [{ ...RULE, description: 'first' }, { ...RULE, action: 'log' }] })
    const one = `${gate.z}/rulesets/${ruleset.id}/rules/${ruleset.rules[0].id}`
    const replaced = await gate.ok('PATCH', one, RULE)
    assert.equal(replaced.rules[0].description, '')
    await gate.expect(400, 'PATCH', one, { enabled: false })
    const moved = await gate.ok('PATCH', one, { position: { after: '' } })
    assert.equal(moved.rules[1].id, ruleset.rules[0].id)
  })
  it('rules keep their ids, by id and by ref', async (gate) => {
    const before = await gate.ok('PUT', entry_point(gate), { rules: [{ ...RULE, ref: 'a' }, RULE] })
    const after = await gate.ok('PUT', entry_point(gate), { rules: [{ ...RULE, id: before.rules[1].id }, { ...RULE, ref: 'a' }] })
    assert.deepEqual(after.rules.map(({ id }) => id), before.rules.map(({ id }) => id).reverse())
  })
  it('logging stands at skip rules alone, and parameters come back as they were sent', async (gate) => {
    const sent = [
      { ...RULE, action_parameters: { response: { status_code: 418, content: 'x', content_type: 'text/plain' } } },
      { action: 'skip', expression: 'ssl', action_parameters: { phases: ['http_ratelimit'], products: ['waf'] } },
    ]
    const { rules } = await gate.ok('PUT', entry_point(gate), { rules: sent })
    assert.ok(!('logging' in rules[0]))
    assert.deepEqual(rules[1].logging, { enabled: true })
    assert.deepEqual(rules.map(({ action_parameters }) => action_parameters), sent.map(({ action_parameters }) => action_parameters))
  })
  it('an empty, a null and no certificate id mean the managed CA', async (gate) => {
    for (const [index, more] of [{ mtls_certificate_id: '' }, { mtls_certificate_id: null }, {}].entries()) {
      await gate.ok('PUT', associations(gate), { hostnames: [`h${index}.heron.example`], ...more })
      assert.deepEqual((await gate.ok('GET', `${associations(gate)}?mtls_certificate_id=`)).hostnames, [`h${index}.heron.example`])
    }
  })
  it('no hostnames and null hostnames empty the list, of this CA alone', async (gate) => {
    const mtls_certificate_id = gate.ca.id
    await gate.ok('PUT', associations(gate), { hostnames: ['m.heron.example'] })
    for (const more of [{}, { hostnames: null }]) {
      await gate.ok('PUT', associations(gate), { hostnames: ['x.heron.example'], mtls_certificate_id })
      assert.deepEqual((await gate.ok('PUT', associations(gate), { ...more, mtls_certificate_id })).hostnames, [])
      assert.deepEqual((await gate.ok('GET', associations(gate))).hostnames, ['m.heron.example'])
    }
  })
  it('a revoked client certificate stays readable and listed', async (gate) => {
    const { id } = await gate.ok('POST', `${gate.z}/client_certificates`, { csr: certificates.request('/CN=y').pem, validity_days: 1 })
    await gate.ok('DELETE', `${gate.z}/client_certificates/${id}`)
    assert.equal((await gate.ok('GET', `${gate.z}/client_certificates/${id}`)).id, id)
    assert.ok((await gate.ok('GET', `${gate.z}/client_certificates?per_page=50`)).some((one) => one.id === id))
  })
  it('a CA in use is not deleted', async (gate) => {
    await gate.ok('PUT', associations(gate), { hostnames: ['x.heron.example'], mtls_certificate_id: gate.ca.id })
    assert.equal(code(await gate.expect(400, 'DELETE', `${gate.a}/mtls_certificates/${gate.ca.id}`)), 1485)
    await gate.ok('PUT', associations(gate), { hostnames: [], mtls_certificate_id: gate.ca.id })
  })
  it('a time that there is not is null or absent, never an empty text', async (gate) => {
    for (const target of ['/zones', '/user/tokens', `${gate.z}/settings`, `${gate.a}/mtls_certificates`, `${gate.a}/access/certificates`, `${gate.a}/rules/lists`]) {
      const list = await gate.ok('GET', target)
      assert.ok(list.length > 0, target)
      for (const [key, value] of list.flatMap(Object.entries)) {
        if (/(_on|_at|_before)$/.test(key) && value !== null) assert.match(value, /^\d{4}-\d\d-\d\dT/, `${target}: ${key}`)
      }
    }
  })
  it('errors and messages are always lists, also of what no route knows', async (gate) => {
    for (const [method, target] of [['GET', '/zones'], ['GET', '/nothing'], ['POST', '/zones'], ['DELETE', '/zones'], ['GET', `/zones/${NO_HEX}`]]) {
      const { body } = await gate.call(method, target)
      assert.ok(Array.isArray(body.errors) && Array.isArray(body.messages) && 'result' in body && body.success === (body.errors.length === 0), target)
    }
  })
  it('filters are answered with a list, whether one came or many; firewall rules, too', async (gate) => {
    for (const body of [{ expression: 'ssl' }, [{ expression: 'not ssl' }]]) assert.equal((await gate.ok('POST', `${gate.z}/filters`, body)).length, 1)
    for (const body of [{ action: 'log', filter: { expression: 'ssl' } }, [{ action: 'log', filter: { expression: 'ssl' } }]]) {
      assert.equal((await gate.ok('POST', `${gate.z}/firewall/rules`, body)).length, 1)
    }
  })
  it('a condition of addresses is read and written in both spellings', async (gate) => {
    const token = (condition) => gate.ok('POST', '/user/tokens', { name: 'c', condition, policies: [{
      effect: 'allow', permission_groups: [{ id: 'c8fed203ed3043cba015a93ad1616f1f' }], resources: { 'com.cloudflare.api.account.zone.*': '*' },
    }] })
    const range = { in: ['192.0.2.0/24'] }
    for (const spelling of ['request.ip', 'request_ip']) {
      const made = await token({ [spelling]: range })
      assert.deepEqual(made.condition, { 'request.ip': range, request_ip: range })
      assert.equal(code(await gate.expect(403, 'GET', '/zones', undefined, { authorization: `Bearer ${made.value}` })), 9109)
      assert.match(made.value, /^[0-9A-Za-z_-]{40,80}$/)
    }
  })
  it('a token of an account is 1000 at the user\'s path and 9109 at memberships', async (gate) => {
    const { value } = await gate.ok('POST', `${gate.a}/tokens`, { name: 'owned', policies: [{
      effect: 'allow', permission_groups: [{ id: 'db37e5f1cb1a4e1aabaef8deaea43575' }], resources: { [`com.cloudflare.api.account.${gate.account_id}`]: '*' },
    }] })
    const headers = { authorization: `Bearer ${value}` }
    assert.equal(code(await gate.expect(401, 'GET', '/user/tokens/verify', undefined, headers)), 1000)
    assert.equal(code(await gate.expect(403, 'GET', '/memberships', undefined, headers)), 9109)
    await gate.expect(200, 'GET', `${gate.a}/tokens/verify`, undefined, headers)
  })
  it('rulesets page by result_info.cursor, items by result_info.cursors.after, and both end', async (gate) => {
    for (let index = 0; index < 3; index += 1) await gate.ok('POST', `${gate.z}/rulesets`, { name: `r${index}`, kind: 'custom', phase: PHASE })
    const list = await gate.ok('POST', `${gate.a}/rules/lists`, { name: 'paged', kind: 'ip' })
    await gate.ok('POST', `${gate.a}/rules/lists/${list.id}/items`, ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((ip) => ({ ip })))
    for (const [target, next] of [
      [`${gate.z}/rulesets`, (info) => info?.cursor], [`${gate.a}/rules/lists/${list.id}/items`, (info) => info?.cursors?.after],
    ]) {
      const seen = []
      for (let cursor = '', pages = 0; cursor !== undefined && pages < 10; pages += 1) {
        const { body } = await gate.expect(200, 'GET', `${target}?per_page=1${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
        seen.push(...body.result.map(({ id }) => id))
        cursor = next(body.result_info) || undefined
      }
      assert.ok(seen.length >= 3 && new Set(seen).size === seen.length && seen.length < 10, target)
    }
  })
  it('certificates are found by name and by being a CA, and types come repeated or with commas', async (gate) => {
    const target = `${gate.a}/mtls_certificates`
    assert.deepEqual((await gate.ok('GET', `${target}?name=devices&ca=true`)).map(({ id }) => id), [gate.ca.id])
    assert.deepEqual(await gate.ok('GET', `${target}?ca=false`), [])
    const every = await gate.ok('GET', target)
    for (const query of ['type=custom&type=access_managed', 'type=custom,access_managed']) assert.deepEqual(await gate.ok('GET', `${target}?${query}`), every)
    assert.deepEqual(await gate.ok('GET', `${target}?type=gateway_managed`), [])
  })
  it('a URL that ends in ? is fine', async (gate) => {
    await gate.ok('GET', `${gate.a}/mtls_certificates?`)
  })
  it('a dry run changes nothing', async (gate) => {
    const before = await gate.ok('GET', entry_point(gate))
    assert.equal(await gate.ok('PUT', `${entry_point(gate)}?dry_run=true`, { rules: [] }), null)
    assert.deepEqual(await gate.ok('GET', entry_point(gate)), before)
    await gate.expect(204, 'DELETE', `${gate.z}/rulesets/${before.id}?dry_run=true`)
    assert.deepEqual(await gate.ok('GET', entry_point(gate)), before)
    await gate.expect(400, 'PUT', `${entry_point(gate)}?dry_run=perhaps`, { rules: [] })
  })
  it('no secret comes back', async (gate) => {
    const leaf = certificates.leaf(gate.root, 'edge')
    const pair = certificates.leaf(gate.root, 'heron.example', { names: ['heron.example'] })
    const secret = (text) => text.split('\n')[1]
    await gate.ok('POST', `${gate.a}/mtls_certificates`, { ca: false, certificates: leaf.pem, private_key: leaf.key })
    await gate.ok('POST', `${gate.z}/custom_certificates`, { certificate: pair.pem, private_key: pair.key, bundle_method: 'force' })
    await gate.ok('POST', `${gate.z}/origin_tls_client_auth`, { certificate: leaf.pem, private_key: leaf.key })
    for (const target of [`${gate.a}/mtls_certificates`, `${gate.z}/custom_certificates`, `${gate.z}/origin_tls_client_auth`, '/user/tokens']) {
      const { text } = await gate.expect(200, 'GET', target)
      assert.ok(text.length > 100, target)
      for (const key of [leaf.key, pair.key]) assert.ok(!text.includes(secret(key)), target)
      assert.doesNotMatch(text, /private_key|"value"/, target)
    }
  })
  it('hostnames are compared in lower case, without the last dot', async (gate) => {
    const given = ['API.Heron.Example', 'pay.heron.example.', 'xn--bcher-kva.heron.example', 'api.heron.example']
    const kept = ['api.heron.example', 'pay.heron.example', 'xn--bcher-kva.heron.example']
    assert.deepEqual((await gate.ok('PUT', associations(gate), { hostnames: given })).hostnames, kept)
    await gate.expect(400, 'PUT', associations(gate), { hostnames: ['heron.example.evil.example'] })
    await gate.expect(400, 'PUT', associations(gate), { hostnames: ['evilheron.example'] })
    await gate.expect(400, 'PUT', associations(gate), { hostnames: ['bücher.heron.example'] }) // which says what would be right
  })
})

walk('traps: guessing tokens', gateway, (it) => {
  it('is answered with 429, 971 and a Retry-After in whole seconds, before long', async (gate) => {
    let answer
    for (let count = 0; count < 1000 && answer?.status !== 429; count += 1) {
      answer = await gate.call('GET', '/zones', undefined, { authorization: `Bearer ${String(count).padStart(40, 'x')}` })
    }
    assert.equal(answer.status, 429)
    assert.equal(code(answer), 971)
    assert.match(answer.headers.get('retry-after'), /^[1-9]\d*$/)
  })
})
