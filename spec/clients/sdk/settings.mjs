// Settings of zones and of hostnames, the properties of a zone, and managed request headers, through the SDK.

import assert from 'node:assert/strict'

import { walk } from '../support/cases.mjs'
import { all, MICROS, refused } from '../support/expect.mjs'
import * as gateway from '../support/gateway.mjs'

walk('sdk: zones.settings and zones.edit', gateway, (it) => {
  let zone_id

  const CHANGES = [
    ['min_tls_version', '1.0', '1.2'], ['tls_1_3', 'on', 'zrt'], ['ciphers', [], ['ECDHE-ECDSA-AES128-GCM-SHA256']], ['http2', 'on', 'off'],
    ['tls_client_auth', 'off', 'on'], ['ssl', 'full', 'strict'], ['always_use_https', 'off', 'on'], ['0rtt', 'off', 'on'],
    ['ipv6', 'on', 'off'], ['websockets', 'on', 'off'],
  ]
  for (const [id, before, after] of CHANGES) {
    it(`${id} is ${JSON.stringify(before)} at first, and then what was set`, async (gate) => {
      zone_id ??= await gate.zone('heron.example')
      const { settings } = gate.client.zones
      assert.deepEqual(await settings.get(id, { zone_id }), { id, value: before, editable: true, modified_on: null })
      const changed = await settings.edit(id, { zone_id, value: after })
      assert.deepEqual(changed.value, after)
      assert.match(changed.modified_on, MICROS)
      assert.deepEqual(await settings.get(id, { zone_id }), changed)
    })
  }
  it('takes `enabled` for on and off', async ({ client }) => {
    assert.equal((await client.zones.settings.edit('0rtt', { zone_id, enabled: false })).value, 'off')
  })
  it('changes many at once, or none of them', async (gate) => {
    const target = `/zones/${zone_id}/settings`
    const items = [{ id: 'websockets', value: 'on' }, { id: 'ipv6', value: 'on' }]
    assert.deepEqual((await gate.call('PATCH', target, { items })).body.result.map(({ value }) => value), ['on', 'on'])
    assert.equal((await gate.call('PATCH', target, { items: [{ id: 'websockets', value: 'off' }, { id: 'ipv6', value: 7 }] })).status, 400)
    const every = (await gate.call('GET', target)).body.result
    assert.equal(every.find(({ id }) => id === 'websockets').value, 'on')
    for (const [id] of CHANGES) assert.ok(every.some((one) => one.id === id), id)
  })
  it('refuses unknown settings, wrong values and what is read only', async ({ client }) => {
    const { settings } = client.zones
    await refused(settings.get('nonsense', { zone_id }), 400, 1006)
    await refused(settings.edit('min_tls_version', { zone_id, value: 1.2 }), 400, 1007)
    await refused(settings.edit('min_tls_version', { zone_id, value: '1.4' }), 400, 1007)
    await refused(settings.edit('ciphers', { zone_id, value: ['AEAD-AES128-GCM-SHA256'] }), 400, 1007)
    await refused(settings.edit('http3', { zone_id, value: 'on' }), 400, 1015)
  })
  it('pauses a zone', async ({ client }) => {
    assert.equal((await client.zones.edit({ zone_id, paused: true })).paused, true)
    assert.equal((await client.zones.get({ zone_id })).paused, true)
    await refused(client.zones.edit({ zone_id, paused: false, type: 'partial' }), 400)
    assert.equal((await client.zones.edit({ zone_id, paused: false })).paused, false)
  })
})

walk('sdk: hostnames.settings.tls', gateway, (it) => {
  const hostname = 'pay.heron.example'
  const CHANGES = [['min_tls_version', '1.2'], ['http2', 'off'], ['ciphers', ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256']]]
  let zone_id

  for (const [setting_id, value] of CHANGES) {
    it(`sets, gives, lists and takes away ${setting_id}`, async (gate) => {
      zone_id ??= await gate.zone('heron.example')
      const { tls } = gate.client.hostnames.settings
      assert.deepEqual(await all(tls.list(setting_id, { zone_id })), [])
      const set = await tls.update(hostname, { zone_id, setting_id, value })
      assert.equal(set.hostname, hostname)
      assert.deepEqual(set.value, value)
      assert.match(set.created_at, MICROS)
      assert.deepEqual(await all(tls.list(setting_id, { zone_id })), [await tls.get(hostname, { zone_id, setting_id })])
      assert.equal((await tls.delete(hostname, { zone_id, setting_id })).value, '')
      await refused(tls.get(hostname, { zone_id, setting_id }), 404)
      await refused(tls.delete(hostname, { zone_id, setting_id }), 404)
    })
  }
  it('refuses foreign hostnames, wrong values and unknown settings', async ({ client }) => {
    const { tls } = client.hostnames.settings
    await refused(tls.update('pay.other.example', { zone_id, setting_id: 'http2', value: 'off' }), 400, 1407)
    await refused(tls.update(hostname, { zone_id, setting_id: 'min_tls_version', value: '2.0' }), 400)
    await refused(tls.update(hostname, { zone_id, setting_id: 'nonsense', value: 'on' }), 404, 7003)
    await refused(tls.list('nonsense', { zone_id }), 404, 7003)
  })
})

walk('sdk: managedTransforms', gateway, (it) => {
  const wanted = { id: 'add_client_certificate_headers', enabled: true }
  let zone_id

  it('switches the headers about client certificates on', async (gate) => {
    zone_id = await gate.zone('heron.example')
    const { managedTransforms } = gate.client
    const is_on = ({ managed_request_headers }) => managed_request_headers.find(({ id }) => id === wanted.id).enabled
    assert.equal(is_on(await managedTransforms.list({ zone_id })), false)
    const change = { zone_id, managed_request_headers: [wanted], managed_response_headers: [] }
    assert.equal(is_on(await managedTransforms.edit(change)), true)
    assert.equal(is_on(await managedTransforms.list({ zone_id })), true)
  })
  it('refuses headers that nobody knows', async ({ client }) => {
    await refused(client.managedTransforms.edit({ zone_id, managed_request_headers: [{ id: 'nonsense', enabled: true }], managed_response_headers: [] }), 400)
  })
  it('switches all of them off', async ({ client }) => {
    await client.managedTransforms.delete({ zone_id })
    const { managed_request_headers } = await client.managedTransforms.list({ zone_id })
    assert.ok(managed_request_headers.every(({ enabled }) => !enabled))
  })
})
