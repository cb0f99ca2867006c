// Rulesets with their phases, versions and rules, filters, firewall rules and lists, through the SDK.

import assert from 'node:assert/strict'

import { walk } from '../support/cases.mjs'
import { all, HEX, MICROS, NO_HEX, refused, SECONDS } from '../support/expect.mjs'
import * as gateway from '../support/gateway.mjs'

const PHASE = 'http_request_firewall_custom'
const RULE = { action: 'block', expression: '(http.host in {"api.heron.example"} and not cf.tls_client_auth.cert_verified)' }

for (const level of ['zone', 'account']) {
  walk(`sdk: rulesets of ${level === 'zone' ? 'a zone' : 'an account'}`, gateway, (it) => {
    let at // { zone_id } or { account_id }
    let entry
    const KIND = level === 'zone' ? 'zone' : 'root'

    it('has no entry point before one is put', async (gate) => {
      at = level === 'zone' ? { zone_id: await gate.zone('heron.example') } : { account_id: gate.account_id }
      await refused(gate.client.rulesets.phases.get(PHASE, at), 404, 10003)
      assert.deepEqual(await all(gate.client.rulesets.phases.versions.list(PHASE, at)), [])
    })
    it('puts an entry point', async ({ client }) => {
      entry = await client.rulesets.phases.update(PHASE, { ...at, rules: [{ ...RULE, ref: 'mtls', description: 'devices only' }] })
      assert.match(entry.id, HEX)
      assert.equal(entry.version, '1')
      assert.equal(entry.kind, KIND)
      assert.equal(entry.name, 'default')
      assert.match(entry.last_updated, MICROS)
      const [rule] = entry.rules
      assert.equal(rule.expression, RULE.expression)
      assert.equal(rule.version, '1')
      assert.equal(rule.enabled, true)
      assert.ok(!('logging' in rule) && !('position' in rule))
      assert.deepEqual(await client.rulesets.phases.get(PHASE, at), entry)
      assert.deepEqual(await client.rulesets.get(entry.id, at), entry)
    })
    it('keeps rules by their ref, and raises only the version of what changed', async ({ client }) => {
      const next = await client.rulesets.update(entry.id, { ...at, rules: [
        { ...RULE, ref: 'mtls', description: 'devices only' }, { action: 'log', expression: 'ssl', ref: 'seen' },
      ] })
      assert.equal(next.version, '2')
      assert.equal(next.rules[0].id, entry.rules[0].id)
      assert.equal(next.rules[0].version, '1')
      entry = next
    })
    it('answers a new, a moved, a replaced and a removed rule with the whole ruleset', async ({ client }) => {
      const { rules } = client.rulesets
      let after = await rules.create(entry.id, { ...at, action: 'skip', action_parameters: { ruleset: 'current' }, expression: 'ip.src eq 192.0.2.1',
        position: { index: 1 } })
      assert.equal(after.rules.length, 3)
      const [added] = after.rules
      assert.deepEqual(added.logging, { enabled: true })
      after = await rules.edit(added.id, { ruleset_id: entry.id, ...at, position: { after: '' } })
      assert.equal(after.rules[2].id, added.id)
      assert.equal(after.rules[2].version, '1')
      after = await rules.edit(added.id, { ruleset_id: entry.id, ...at, action: 'log', expression: 'ssl' })
      assert.equal(after.rules[2].action, 'log')
      assert.equal(after.rules[2].version, '2')
      after = await rules.delete(added.id, { ruleset_id: entry.id, ...at })
      assert.deepEqual(after.rules.map(({ id }) => id), entry.rules.map(({ id }) => id))
      assert.equal(after.version, '6')
      entry = after
    })
    it('keeps versions, gives them and deletes old ones', async ({ client }) => {
      const versions = await all(client.rulesets.versions.list(entry.id, at))
      assert.equal(versions.length, 6)
      assert.ok(versions.every((one) => typeof one.version === 'string' && !('rules' in one)))
      assert.equal((await client.rulesets.versions.get('1', { ruleset_id: entry.id, ...at })).rules.length, 1)
      assert.equal((await all(client.rulesets.phases.versions.list(PHASE, at))).length, 6)
      assert.equal((await client.rulesets.phases.versions.get('2', { ruleset_phase: PHASE, ...at })).rules.length, 2)
      await client.rulesets.versions.delete('1', { ruleset_id: entry.id, ...at })
      await refused(client.rulesets.versions.get('1', { ruleset_id: entry.id, ...at }), 404, 10001)
      await refused(client.rulesets.versions.delete('6', { ruleset_id: entry.id, ...at }), 400)
    })
    if (level === 'account') it('has no rules with a tag', async (gate) => {
      const { status, body } = await gate.call('GET', `/accounts/${gate.account_id}/rulesets/${entry.id}/versions/2/by_tag/x`)
      assert.equal(status, 200)
      assert.deepEqual(body.result.rules, [])
    })
    it('lists rulesets without their rules, in a list that ends', async ({ client }) => {
      for (let index = 0; index < 3; index += 1) {
        await client.rulesets.create({ ...at, name: `custom ${index}`, kind: 'custom', phase: PHASE, rules: [RULE] })
      }
      const list = await all(client.rulesets.list({ ...at, per_page: 2 }))
      assert.equal(new Set(list.map(({ id }) => id)).size, 4)
      assert.equal(list.length, 4)
      assert.ok(list.every((one) => !('rules' in one)))
    })
    it('executes custom rulesets, which are not deleted while a rule does', async ({ client }) => {
      const custom = await client.rulesets.create({ ...at, name: 'shared', kind: 'custom', phase: PHASE, rules: [RULE] })
      const rule = { action: 'execute', expression: 'true', action_parameters: { id: custom.id } }
      const { rules } = await client.rulesets.rules.create(entry.id, { ...at, ...rule })
      await refused(client.rulesets.delete(custom.id, at), 400)
      await client.rulesets.rules.delete(rules[2].id, { ruleset_id: entry.id, ...at })
      await client.rulesets.delete(custom.id, at)
      entry = await client.rulesets.get(entry.id, at)
    })
    it('points at the expression that it cannot read', async ({ client }) => {
      const error = await refused(client.rulesets.phases.update(PHASE, { ...at, rules: [RULE, { action: 'block', expression: 'http.hst eq "a"' }] }),
        400, 20127, /Filter parsing error \(1:1\)/)
      assert.equal(error.errors[0].source.pointer, '/rules/1/expression')
      assert.deepEqual(await client.rulesets.get(entry.id, at), entry)
    })
    const REFUSED = [
      ['a blank expression', { action: 'block', expression: '' }, 20125],
      ['logging for a block', { ...RULE, logging: { enabled: true } }, 20018],
      ['a skip without parameters', { action: 'skip', expression: 'ssl' }, 20113],
      ['an unknown action', { action: 'allow', expression: 'ssl' }, undefined, /unknown variant for action: allow/],
      ['an unknown key of the parameters', { ...RULE, action_parameters: { nonsense: 1 } }, undefined, /unknown field "nonsense"/],
    ]
    for (const [what, rule, code, pattern] of REFUSED) {
      it(`refuses ${what}`, ({ client }) => refused(client.rulesets.rules.create(entry.id, { ...at, ...rule }), 400, code, pattern))
    }
    it('refuses a second entry point, and phases that it does not serve', async ({ client }) => {
      const second = { ...at, name: 'second', kind: KIND, rules: [] }
      const error = await refused(client.rulesets.create({ ...second, phase: PHASE }), 400, 20217)
      assert.equal(error.errors[0].source.pointer, '/kind')
      await refused(client.rulesets.create({ ...second, phase: 'http_ratelimit' }), 400, 50002)
    })
    it('deletes with nothing in the answer, and 404 afterwards', async ({ client }) => {
      const { response } = await client.rulesets.delete(entry.id, at).withResponse()
      assert.equal(response.status, 204)
      await refused(client.rulesets.get(entry.id, at), 404, 10001)
      await refused(client.rulesets.delete(entry.id, at), 404, 10001)
      await refused(client.rulesets.rules.delete(NO_HEX, { ruleset_id: entry.id, ...at }), 404, 10001)
      await refused(client.rulesets.phases.get(PHASE, at), 404, 10003)
    })
  })
}

walk('sdk: filters and firewall.rules', gateway, (it) => {
  let zone_id
  let filters
  let rule

  it('makes filters in a batch', async (gate) => {
    zone_id = await gate.zone('heron.example')
    filters = await all(gate.client.filters.create({ zone_id, body: [
      { expression: 'http.request.uri.path eq "/a"', description: 'a' }, { expression: 'http.request.uri.path eq "/b"', paused: true },
    ] }))
    assert.equal(filters.length, 2)
    assert.match(filters[0].id, HEX)
    assert.equal(filters[1].paused, true)
    assert.ok(!('description' in filters[1]))
    assert.deepEqual(await gate.client.filters.get(filters[0].id, { zone_id }), filters[0])
  })
  it('changes one and many', async ({ client }) => {
    const changed = await client.filters.update(filters[0].id, { zone_id, expression: 'ssl' })
    assert.equal(changed.expression, 'ssl')
    const [one] = await all(client.filters.bulkUpdate({ zone_id, body: [{ id: filters[0].id, expression: 'not ssl' }] }))
    assert.equal(one.expression, 'not ssl')
  })
  it('lists page after page until one is empty', async ({ client }) => {
    await all(client.filters.create({ zone_id, body: [1, 2, 3, 4].map((n) => ({ expression: `http.request.uri.path eq "/${n}"` })) }))
    assert.equal(new Set((await all(client.filters.list({ zone_id, per_page: 5 }))).map(({ id }) => id)).size, 6)
    assert.equal((await all(client.filters.list({ zone_id, paused: true }))).length, 1)
  })
  it('validates an expression without a zone', async (gate) => {
    const target = (expression) => `/filters/validate-expr?expression=${encodeURIComponent(expression)}`
    assert.equal((await gate.call('GET', target('ssl'))).status, 200)
    assert.equal((await gate.call('POST', '/filters/validate-expr', { expression: 'ssl' })).body.result, null)
    const { status, body } = await gate.call('GET', target('nonsense'))
    assert.equal(status, 400)
    assert.match(body.errors[0].message, /^Filter parsing error:\n`nonsense`\n/)
  })
  it('explains an expression that it cannot read', async ({ client }) => {
    const create = client.filters.create({ zone_id, body: [{ expression: 'ssl' }, { expression: 'http.hst eq "a"' }] })
    await refused(create, 400, undefined, /^Filter parsing error:\n`http\.hst eq "a"`\n \^+ .+\n$/)
    assert.equal((await all(client.filters.list({ zone_id }))).length, 6)
  })
  it('makes firewall rules, with a filter of their own or an existing one', async ({ client }) => {
    const { rules } = client.firewall
    const [made] = await all(rules.create({ zone_id, action: 'block', priority: 10, description: 'no admin',
      filter: { expression: 'http.request.uri.path eq "/admin"' } }))
    const [other] = await all(rules.create({ zone_id, action: 'log', filter: { id: filters[0].id } }))
    assert.match(made.id, HEX)
    assert.match(made.created_on, SECONDS)
    assert.equal(made.priority, 10)
    assert.equal(made.filter.expression, 'http.request.uri.path eq "/admin"')
    assert.equal(other.filter.id, filters[0].id)
    rule = made
    assert.deepEqual(await client.firewall.rules.get(rule.id, { zone_id }), rule)
    assert.equal((await all(client.firewall.rules.list({ zone_id }))).length, 2)
  })
  it('changes their priority, one and many, and replaces them', async ({ client }) => {
    const [edited] = await all(client.firewall.rules.edit(rule.id, { zone_id, priority: 20 }))
    assert.equal(edited.priority, 20)
    const [many] = await all(client.firewall.rules.bulkEdit({ zone_id, id: rule.id, priority: 30 }))
    assert.equal(many.priority, 30)
    const replaced = await client.firewall.rules.update(rule.id, { zone_id, action: 'log', filter: rule.filter })
    assert.equal(replaced.action, 'log')
    assert.equal(replaced.id, rule.id)
    const [again] = await all(client.firewall.rules.bulkUpdate({ zone_id, id: rule.id, action: 'block', filter: rule.filter }))
    assert.equal(again.action, 'block')
  })
  it('does not delete a filter that a rule uses', async ({ client }) => {
    await refused(client.filters.delete(filters[0].id, { zone_id }), 400, 10012)
  })
  it('deletes one and many', async ({ client }) => {
    assert.equal((await client.firewall.rules.delete(rule.id, { zone_id })).id, rule.id)
    await refused(client.firewall.rules.get(rule.id, { zone_id }), 404, 10001)
    await refused(client.firewall.rules.delete(rule.id, { zone_id }), 404, 10001)
    const left = await all(client.firewall.rules.list({ zone_id }))
    const query = { id: left[0].id } // the SDK has no parameter for it
    assert.equal((await all(client.firewall.rules.bulkDelete({ zone_id }, { query }))).length, 1)
    assert.deepEqual(await client.filters.delete(filters[0].id, { zone_id }), { id: filters[0].id })
    await refused(client.filters.get(filters[0].id, { zone_id }), 404, 10001)
    const ids = (await all(client.filters.list({ zone_id }))).map(({ id }) => id)
    assert.deepEqual((await client.filters.bulkDelete({ zone_id, id: ids })).map(({ id }) => id).sort(), ids.sort())
    assert.deepEqual(await all(client.filters.list({ zone_id })), [])
  })
})

walk('sdk: rules.lists', gateway, (it) => {
  let list

  it('makes a list and changes its description', async ({ client, account_id }) => {
    list = await client.rules.lists.create({ account_id, kind: 'ip', name: 'office', description: 'HQ' })
    assert.match(list.id, HEX)
    assert.equal(list.num_items, 0)
    assert.match(list.created_on, SECONDS)
    list = await client.rules.lists.update(list.id, { account_id, description: 'all offices' })
    assert.equal(list.description, 'all offices')
    assert.deepEqual(await client.rules.lists.get(list.id, { account_id }), list)
    assert.deepEqual(await all(client.rules.lists.list({ account_id })), [list])
  })
  it('adds items, says that it is done, and lists them by cursor, in order', async ({ client, account_id }) => {
    const body = [...Array(7).keys()].map((n) => ({ ip: `198.51.100.${9 - n}`, comment: `${n}` }))
    const { operation_id } = await client.rules.lists.items.create(list.id, { account_id, body })
    const done = await client.rules.lists.bulkOperations.get(operation_id, { account_id })
    assert.equal(done.status, 'completed')
    assert.match(done.completed, SECONDS)
    const items = await all(client.rules.lists.items.list(list.id, { account_id, per_page: 3 }))
    assert.deepEqual(items.map(({ ip }) => ip), [3, 4, 5, 6, 7, 8, 9].map((n) => `198.51.100.${n}`))
    assert.equal((await client.rules.lists.get(list.id, { account_id })).num_items, 7)
    assert.deepEqual(await client.rules.lists.items.get(items[0].id, { list_id: list.id, account_id }), items[0])
  })
  it('keeps the id of an item that comes again, and replaces and deletes items', async ({ client, account_id }) => {
    const { items } = client.rules.lists
    const [first] = await all(items.list(list.id, { account_id, search: '198.51.100.3' }))
    await items.create(list.id, { account_id, body: [{ ip: '198.51.100.3', comment: 'again' }] })
    const again = await items.get(first.id, { list_id: list.id, account_id })
    assert.equal(again.comment, 'again')
    await items.update(list.id, { account_id, body: [{ ip: '203.0.113.0/24' }, { ip: '2001:db8::/32' }] })
    const left = await all(items.list(list.id, { account_id }))
    assert.equal(left.length, 2)
    await items.delete(list.id, { account_id, items: [{ id: left[0].id }] })
    assert.equal((await all(items.list(list.id, { account_id }))).length, 1)
    await refused(items.get(left[0].id, { list_id: list.id, account_id }), 404, 10001)
  })
  it('takes lists of every kind', async ({ client, account_id }) => {
    const KINDS = { asn: { asn: 64500 }, hostname: { hostname: { url_hostname: 'a.example' } },
      redirect: { redirect: { source_url: 'a.example/x', target_url: 'https://b.example' } } }
    for (const [kind, item] of Object.entries(KINDS)) {
      const { id } = await client.rules.lists.create({ account_id, kind, name: `of_${kind}` })
      await client.rules.lists.items.create(id, { account_id, body: [item] })
      const [stored] = await all(client.rules.lists.items.list(id, { account_id }))
      assert.deepEqual(Object.keys(item).map((key) => typeof stored[key]), [kind === 'asn' ? 'number' : 'object'])
    }
  })
  it('refuses taken names, bad items, and lists that nobody has', async ({ client, account_id }) => {
    await refused(client.rules.lists.create({ account_id, kind: 'ip', name: 'office' }), 400, 10021)
    await refused(client.rules.lists.create({ account_id, kind: 'ip', name: 'bad name' }), 400)
    await refused(client.rules.lists.items.create(list.id, { account_id, body: [{ ip: '192.0.2.1' }, { ip: 'x' }] }), 400, 10018, /index 1/)
    await refused(client.rules.lists.get(NO_HEX, { account_id }), 404, 10001)
    await refused(client.rules.lists.items.list(NO_HEX, { account_id }), 404, 10001)
    await refused(client.rules.lists.bulkOperations.get(NO_HEX, { account_id }), 404, 10001)
  })
  it('does not delete a list that a rule asks', async (gate) => {
    const { client, account_id } = gate
    const zone_id = await gate.zone('heron.example')
    const rules = await client.rulesets.phases.update(PHASE, { zone_id, rules: [{ action: 'block', expression: 'ip.src in $office' }] })
    await refused(client.rules.lists.delete(list.id, { account_id }), 400, 10031)
    assert.equal((await client.rules.lists.get(list.id, { account_id })).num_referencing_filters, 1)
    await client.rulesets.delete(rules.id, { zone_id })
    assert.deepEqual(await client.rules.lists.delete(list.id, { account_id }), { id: list.id })
    await refused(client.rules.lists.delete(list.id, { account_id }), 404, 10001)
  })
})
