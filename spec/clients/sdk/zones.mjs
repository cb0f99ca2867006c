// Zones, and the audit log that tells of them, through the SDK.

import assert from 'node:assert/strict'

import { walk } from '../support/cases.mjs'
import { all, HEX, MICROS, NO_HEX, refused } from '../support/expect.mjs'
import * as gateway from '../support/gateway.mjs'

walk('sdk: zones', gateway, (it) => {
  let zone

  it('makes a zone', async ({ client, account_id }) => {
    zone = await client.zones.create({ name: 'Heron.example', account: { id: account_id }, type: 'full' })
    assert.match(zone.id, HEX)
    assert.equal(zone.name, 'heron.example')
    assert.equal(zone.status, 'active')
    assert.match(zone.created_on, MICROS)
    assert.equal(zone.account.id, account_id)
    assert.equal(zone.development_mode, 0)
    assert.equal(zone.plan.price, 0)
    assert.deepEqual(await client.zones.get({ zone_id: zone.id }), zone)
  })
  it('lists page after page until one is empty, and finds by name', async ({ client, account_id }) => {
    for (let index = 0; index < 6; index += 1) await client.zones.create({ name: `z${index}.example`, account: { id: account_id } })
    const list = await all(client.zones.list({ per_page: 5, account: { id: account_id }, order: 'name' }))
    assert.deepEqual(list.map(({ name }) => name), ['heron.example', 'z0.example', 'z1.example', 'z2.example', 'z3.example', 'z4.example', 'z5.example'])
    assert.deepEqual((await all(client.zones.list({ name: 'heron.example' }))).map(({ id }) => id), [zone.id])
    assert.equal((await all(client.zones.list({ name: 'starts_with:z' }))).length, 6)
    assert.deepEqual(await all(client.zones.list({ account: { id: NO_HEX } })), [])
  })
  it('refuses what is no zone, or one already', async ({ client, account_id }) => {
    await refused(client.zones.create({ name: 'heron.example', account: { id: account_id } }), 400, 1061)
    await refused(client.zones.create({ name: 'not a domain', account: { id: account_id } }), 400, 1002)
    await refused(client.zones.get({ zone_id: NO_HEX }), 404, 9109)
    await refused(client.zones.get({ zone_id: 'nonsense' }), 404, 7003)
  })
  it('deletes, and 404 afterwards', async ({ client }) => {
    assert.deepEqual(await client.zones.delete({ zone_id: zone.id }), { id: zone.id })
    await refused(client.zones.get({ zone_id: zone.id }), 404, 9109)
    await refused(client.zones.delete({ zone_id: zone.id }), 404, 9109)
  })
  it('has all of it in the audit log, which the SDK can page through', async ({ client, account_id }) => {
    const log = await all(client.auditLogs.list({ account_id, per_page: 3 }))
    assert.ok(log.some((row) => row.action.type === 'delete' && row.metadata.zone_name === 'heron.example'))
    assert.equal(new Set(log.map(({ id }) => id)).size, log.length)
    assert.ok((await all(client.user.auditLogs.list({ per_page: 3 }))).length >= 1)
  })
})
