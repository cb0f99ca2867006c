// Custom hostnames with their fallback origin, through the SDK, and a request for one at the edge.

import assert from 'node:assert/strict'

import { walk } from '../support/cases.mjs'
import * as certificates from '../support/certificates.mjs'
import { all, MICROS, NO_UUID, refused, UUID } from '../support/expect.mjs'
import * as gateway from '../support/gateway.mjs'

const SSL = { method: 'http', type: 'dv' }

walk('sdk: customHostnames', gateway, (it) => {
  const hostname = 'shop.customer.example'
  let zone_id
  let made

  it('has no fallback origin at first, and takes one', async (gate) => {
    const behind = await gateway.origin(gate)
    zone_id = await gate.zone('heron.example')
    const { fallbackOrigin } = gate.client.customHostnames
    await refused(fallbackOrigin.get({ zone_id }), 404)
    await gate.call('PUT', `/zones/${zone_id}/moongate/origins/saas.heron.example`, { url: behind.url })
    const set = await fallbackOrigin.update({ zone_id, origin: 'saas.heron.example' })
    assert.equal(set.origin, 'saas.heron.example')
    assert.deepEqual(set.errors, [])
    assert.match(set.created_at, MICROS)
    assert.equal((await fallbackOrigin.get({ zone_id })).status, 'active')
  })
  it('makes a custom hostname, which is served at once', async (gate) => {
    made = await gate.client.customHostnames.create({ zone_id, hostname, ssl: { ...SSL, settings: { min_tls_version: '1.2' } }, custom_metadata: { plan: 'gold' } })
    assert.match(made.id, UUID)
    assert.equal(made.hostname, hostname)
    assert.equal(made.status, 'active')
    assert.match(made.ssl.id, UUID)
    assert.equal(made.ssl.method, 'http')
    assert.deepEqual(made.ssl.settings, { min_tls_version: '1.2' })
    assert.deepEqual(made.custom_metadata, { plan: 'gold' })
    assert.match(made.created_at, MICROS)
    assert.deepEqual(await gate.client.customHostnames.get(made.id, { zone_id }), made)
    assert.equal(await gate.status(hostname), 200)
  })
  it('changes it; settings come with method and type', async ({ client }) => {
    const { customHostnames } = client
    const edited = await customHostnames.edit(made.id, { zone_id, ssl: { ...SSL, settings: { min_tls_version: '1.3' } } })
    assert.deepEqual(edited.ssl.settings, { min_tls_version: '1.3' })
    await refused(customHostnames.edit(made.id, { zone_id, ssl: { settings: { min_tls_version: '1.2' } } }), 400, 1434)
    await refused(customHostnames.edit(made.id, { zone_id, ssl: { method: 'http', settings: { min_tls_version: '1.2' } } }), 400, 1440)
    await refused(customHostnames.edit(made.id, { zone_id, ssl: { ...SSL, settings: { min_tls_version: '1.3', ciphers: ['AES128-SHA'] } } }), 400, 1443)
    assert.deepEqual((await customHostnames.get(made.id, { zone_id })).ssl.settings, { min_tls_version: '1.3' })
  })
  it('takes a certificate and never shows its key', async (gate) => {
    const issuer = certificates.ca('Customer CA')
    const name = 'own.customer.example'
    const pair = certificates.leaf(issuer, name, { names: [name] })
    const one = await gate.client.customHostnames.create({ zone_id, hostname: name, ssl: { ...SSL, custom_certificate: pair.pem, custom_key: pair.key, bundle_method: 'force' } })
    assert.ok(!JSON.stringify(one).includes(pair.key.split('\n')[1]))
    assert.equal(await gate.status(name, { ca: issuer.path }), 200)
    await gate.client.customHostnames.delete(one.id, { zone_id })
  })
  it('replaces and deletes one of two certificates', async (gate) => {
    const { customHostnames } = gate.client
    const issuer = certificates.ca('Customer CA')
    const name = 'two.customer.example'
    const pair = (rsa) => {
      const { pem, key } = certificates.leaf(issuer, name, { names: [name], rsa })
      return { custom_certificate: pem, custom_key: key }
    }
    const one = await customHostnames.create({ zone_id, hostname: name, ssl: { ...SSL, bundle_method: 'force', custom_cert_bundle: [pair(false), pair(true)] } })
    assert.equal(one.ssl.certificates.length, 2)
    const at = { zone_id, custom_hostname_id: one.id, certificate_pack_id: one.ssl.id }
    const { certificates: packed } = customHostnames.certificatePack
    const replaced = await packed.update(one.ssl.certificates[0].id, { ...at, ...pair(false) })
    assert.equal(replaced.ssl.certificates.length, 2)
    assert.equal(await gate.status(name, { ca: issuer.path }), 200)
    const { ssl } = await customHostnames.get(one.id, { zone_id })
    assert.equal((await packed.delete(ssl.certificates[1].id, at)).id, ssl.certificates[1].id)
    assert.equal((await customHostnames.get(one.id, { zone_id })).ssl.certificates.length, 1)
    await refused(packed.delete(NO_UUID, at), 404)
    await customHostnames.delete(one.id, { zone_id })
  })
  it('lists page after page until one is empty, and finds', async ({ client }) => {
    for (let index = 0; index < 6; index += 1) await client.customHostnames.create({ zone_id, hostname: `h${index}.customer.example`, ssl: SSL })
    const list = await all(client.customHostnames.list({ zone_id, per_page: 5 }))
    assert.equal(new Set(list.map(({ id }) => id)).size, 7)
    assert.equal(list.length, 7)
    assert.deepEqual((await all(client.customHostnames.list({ zone_id, hostname: { contain: 'shop' } }))).map(({ id }) => id), [made.id])
    assert.deepEqual((await all(client.customHostnames.list({ zone_id, id: made.id }))).map(({ id }) => id), [made.id])
    assert.equal((await client.customHostnames.quota.get({ zone_id })).used, 7)
  })
  it('refuses hostnames twice, of the zone, and none at all', async ({ client }) => {
    const create = (name) => client.customHostnames.create({ zone_id, hostname: name, ssl: SSL })
    await refused(create(hostname), 409, 1406)
    await refused(create('www.heron.example'), 400, 1407)
    await refused(create('192.0.2.1'), 400)
    await refused(client.customHostnames.get(NO_UUID, { zone_id }), 404, 1436)
  })
  it('answers a delete with the id, for who reads the body and for who reads its result', async (gate) => {
    const gone = await gate.client.customHostnames.delete(made.id, { zone_id })
    assert.equal(gone.id, made.id)
    assert.equal(gone.success, true)
    assert.deepEqual(gone.result, { id: made.id })
    await refused(gate.client.customHostnames.get(made.id, { zone_id }), 404, 1436)
    await refused(gate.client.customHostnames.delete(made.id, { zone_id }), 404, 1436)
    assert.notEqual(await gate.status(hostname).catch(() => 0), 200)
  })
  it('takes the fallback origin away', async ({ client }) => {
    assert.equal((await client.customHostnames.fallbackOrigin.delete({ zone_id })).status, 'pending_deletion')
    await refused(client.customHostnames.fallbackOrigin.get({ zone_id }), 404)
  })
})
