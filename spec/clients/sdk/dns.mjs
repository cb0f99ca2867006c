// DNS records through the SDK, and where a proxied one leads.

import assert from 'node:assert/strict'

import { walk } from '../support/cases.mjs'
import { all, HEX, MICROS, NO_HEX, refused } from '../support/expect.mjs'
import * as gateway from '../support/gateway.mjs'

walk('sdk: dns.records', gateway, (it) => {
  let zone_id
  let record

  it('makes a record, with its full name and numbers as numbers', async (gate) => {
    zone_id = await gate.zone('heron.example')
    record = await gate.client.dns.records.create({ zone_id, type: 'A', name: 'pay', content: '192.0.2.10', proxied: true, ttl: 1, tags: ['team:pay'] })
    assert.match(record.id, HEX)
    assert.equal(record.name, 'pay.heron.example')
    assert.strictEqual(record.ttl, 1)
    assert.equal(record.proxied, true)
    assert.equal(record.proxiable, true)
    assert.match(record.created_on, MICROS)
    assert.deepEqual(await gate.client.dns.records.get(record.id, { zone_id }), record)
  })
  it('replaces and changes it', async ({ client }) => {
    const replaced = await client.dns.records.update(record.id, { zone_id, type: 'A', name: 'pay.heron.example', content: '192.0.2.11', ttl: 300 })
    assert.equal(replaced.proxied, false)
    assert.strictEqual(replaced.ttl, 300)
    assert.deepEqual(replaced.tags, [])
    const changed = await client.dns.records.edit(record.id, { zone_id, comment: 'moved' })
    assert.equal(changed.comment, 'moved')
    assert.equal(changed.content, '192.0.2.11')
  })
  it('changes many in one go, or nothing', async ({ client }) => {
    const posts = [...Array(5).keys()].map((n) => ({ type: 'AAAA', name: `h${n}.heron.example`, content: `2001:db8::${n + 1}`, ttl: 1 }))
    const done = await client.dns.records.batch({ zone_id, posts, deletes: [{ id: record.id }] })
    assert.equal(done.posts.length, 5)
    await refused(client.dns.records.batch({ zone_id, posts: [posts[0], { type: 'A', name: 'x', content: 'nothing', ttl: 1 }] }), 400)
    await refused(client.dns.records.get(record.id, { zone_id }), 404, 81044)
  })
  it('lists page after page until one is empty, and finds', async ({ client }) => {
    const list = await all(client.dns.records.list({ zone_id, per_page: 2 }))
    assert.equal(new Set(list.map(({ id }) => id)).size, 5)
    assert.equal(list.length, 5)
    assert.equal((await all(client.dns.records.list({ zone_id, type: 'AAAA', name: { startswith: 'h1' } }))).length, 1)
    assert.equal((await all(client.dns.records.list({ zone_id, content: { exact: '2001:db8::2' } }))).length, 1)
  })
  it('refuses what is no record', async ({ client }) => {
    const create = (body) => client.dns.records.create({ zone_id, ttl: 1, ...body })
    await refused(create({ type: 'A', name: 'x', content: '2001:db8::1' }), 400)
    await refused(create({ type: 'A', name: 'x', content: '192.0.2.1', ttl: 5 }), 400, 1004)
    await refused(create({ type: 'MX', name: 'x', content: 'mail.heron.example' }), 400, 1004)
    await refused(create({ type: 'AAAA', name: 'h0', content: '2001:db8::1' }), 400, 81058)
    await refused(create({ type: 'CNAME', name: 'h0', content: 'other.example' }), 400, 81053)
    await refused(client.dns.records.get(NO_HEX, { zone_id }), 404, 81044)
    await refused(client.dns.records.get('nonsense', { zone_id }), 404, 7003)
  })
  it('deletes, and 404 afterwards', async ({ client }) => {
    const [{ id }] = (await client.dns.records.list({ zone_id })).result
    assert.deepEqual(await client.dns.records.delete(id, { zone_id }), { id })
    await refused(client.dns.records.delete(id, { zone_id }), 404, 81044)
  })
})
