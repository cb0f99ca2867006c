// Server certificates, authenticated origin pulls and CAs of Access, through the SDK.

import assert from 'node:assert/strict'

import { walk } from '../support/cases.mjs'
import * as certificates from '../support/certificates.mjs'
import { all, MICROS, NO_UUID, refused, SECONDS, UUID } from '../support/expect.mjs'
import * as gateway from '../support/gateway.mjs'

const NAMES = ['heron.example', '*.heron.example']

walk('sdk: customCertificates', gateway, (it) => {
  const issuer = certificates.ca('Heron CA')
  const pair = certificates.leaf(issuer, 'heron.example', { names: NAMES })
  const rsa = certificates.leaf(issuer, 'heron.example', { names: NAMES, rsa: true })
  let zone_id
  let made

  it('uploads a certificate', async (gate) => {
    zone_id = await gate.zone('heron.example')
    made = await gate.client.customCertificates.create({ zone_id, certificate: pair.pem, private_key: pair.key, bundle_method: 'force', type: 'sni_custom' })
    assert.match(made.id, UUID)
    assert.deepEqual(made.hosts, NAMES)
    assert.equal(made.zone_id, zone_id)
    assert.equal(made.status, 'active')
    assert.equal(typeof made.priority, 'number')
    assert.match(made.expires_on, SECONDS)
    assert.match(made.uploaded_on, MICROS)
    assert.ok(!JSON.stringify(made).includes('PRIVATE'))
    assert.deepEqual(await gate.client.customCertificates.get(made.id, { zone_id }), made)
  })
  it('renews it in place', async ({ client }) => {
    const next = certificates.leaf(issuer, 'heron.example', { names: NAMES })
    const renewed = await client.customCertificates.edit(made.id, { zone_id, certificate: next.pem, private_key: next.key, bundle_method: 'force' })
    assert.equal(renewed.id, made.id)
    assert.notEqual(renewed.modified_on, made.modified_on)
  })
  it('takes one of each kind of key, lists and orders them', async ({ client }) => {
    const second = await client.customCertificates.create({ zone_id, certificate: rsa.pem, private_key: rsa.key, bundle_method: 'force', type: 'sni_custom' })
    assert.equal((await all(client.customCertificates.list({ zone_id, per_page: 5 }))).length, 2)
    assert.equal((await all(client.customCertificates.list({ zone_id, status: 'active' }))).length, 2)
    const ordered = await all(client.customCertificates.prioritize.update({ zone_id, certificates: [
      { id: second.id, priority: 2 }, { id: made.id, priority: 1 },
    ] }))
    assert.equal(ordered.find(({ id }) => id === second.id).priority, 2)
    await client.customCertificates.delete(second.id, { zone_id })
  })
  it('refuses what it cannot serve', async ({ client }) => {
    const upload = (body) => client.customCertificates.create({ zone_id, bundle_method: 'force', ...body })
    await refused(upload({ certificate: rsa.pem, private_key: pair.key }), 400, 2200)
    await refused(upload({ certificate: 'nothing', private_key: pair.key }), 400, 1002)
    const foreign = certificates.leaf(issuer, 'x', { names: ['other.example'] })
    await refused(upload({ certificate: foreign.pem, private_key: foreign.key }), 400, 2103)
  })
  it('deletes, and 404 afterwards', async ({ client }) => {
    assert.deepEqual(await client.customCertificates.delete(made.id, { zone_id }), { id: made.id })
    await refused(client.customCertificates.get(made.id, { zone_id }), 404)
    await refused(client.customCertificates.delete(made.id, { zone_id }), 404)
    await refused(client.customCertificates.edit(made.id, { zone_id, bundle_method: 'force' }), 400, 1002)
  })
})

walk('sdk: originTLSClientAuth', gateway, (it) => {
  const issuer = certificates.ca('Edge CA')
  const pair = () => {
    const { pem, key } = certificates.leaf(issuer, 'edge')
    return { certificate: pem, private_key: key }
  }
  let zone_id
  let of_zone
  let of_hostname

  it('uploads a certificate of the zone, gives and lists it', async (gate) => {
    zone_id = await gate.zone('heron.example')
    const { zoneCertificates } = gate.client.originTLSClientAuth
    const body = pair()
    of_zone = await zoneCertificates.create({ zone_id, ...body })
    assert.match(of_zone.id, UUID)
    assert.equal(of_zone.certificate, body.certificate)
    assert.ok(!('private_key' in of_zone))
    assert.match(of_zone.expires_on, SECONDS)
    assert.equal((await zoneCertificates.get(of_zone.id, { zone_id })).id, of_zone.id)
    assert.equal((await all(zoneCertificates.list({ zone_id }))).length, 1)
    await refused(zoneCertificates.create({ zone_id, ...body }), 400, 1406)
    await refused(zoneCertificates.create({ zone_id, certificate: issuer.pem, private_key: issuer.key }), 400, 1408)
  })
  it('switches it on and off', async ({ client }) => {
    const { settings } = client.originTLSClientAuth
    assert.deepEqual(await settings.get({ zone_id }), { enabled: false })
    assert.deepEqual(await settings.update({ zone_id, enabled: true }), { enabled: true })
    assert.deepEqual(await settings.get({ zone_id }), { enabled: true })
  })
  it('uploads a certificate of hostnames and ties hostnames to it', async ({ client }) => {
    const { hostnameCertificates, hostnames } = client.originTLSClientAuth
    of_hostname = await hostnameCertificates.create({ zone_id, ...pair() })
    assert.match(of_hostname.serial_number, /^\d+$/)
    assert.equal((await hostnameCertificates.get(of_hostname.id, { zone_id })).id, of_hostname.id)
    assert.equal((await all(hostnameCertificates.list({ zone_id }))).length, 1)
    const [tied] = await all(hostnames.update({ zone_id, config: [{ hostname: 'app.heron.example', cert_id: of_hostname.id, enabled: true }] }))
    assert.equal(tied.hostname, 'app.heron.example')
    const one = await hostnames.get('app.heron.example', { zone_id })
    assert.equal(one.cert_id, of_hostname.id)
    assert.equal(one.enabled, true)
    assert.match(one.created_at, MICROS)
  })
  it('does not delete a certificate that a hostname uses, until the tie is void', async ({ client }) => {
    const { hostnameCertificates, hostnames } = client.originTLSClientAuth
    await refused(hostnameCertificates.delete(of_hostname.id, { zone_id }), 400, 1433)
    await all(hostnames.update({ zone_id, config: [{ hostname: 'app.heron.example', cert_id: of_hostname.id, enabled: null }] }))
    await refused(hostnames.get('app.heron.example', { zone_id }), 404, 1553)
    assert.equal((await hostnameCertificates.delete(of_hostname.id, { zone_id })).certificate, of_hostname.certificate)
    await refused(hostnameCertificates.get(of_hostname.id, { zone_id }), 404, 1552)
  })
  it('deletes the certificate of the zone, and 404 afterwards', async ({ client }) => {
    const { zoneCertificates } = client.originTLSClientAuth
    assert.equal((await zoneCertificates.delete(of_zone.id, { zone_id })).id, of_zone.id)
    await refused(zoneCertificates.get(of_zone.id, { zone_id }), 404, 1551)
    await refused(zoneCertificates.get('nonsense', { zone_id }), 400, 1415)
  })
})

for (const scope of ['account_id', 'zone_id']) {
  walk(`sdk: zeroTrust.access.certificates of ${scope === 'zone_id' ? 'a zone' : 'an account'}`, gateway, (it) => {
    const root = certificates.ca('Partner Root')
    const access = ({ client }) => client.zeroTrust.access.certificates
    let at
    let made

    it('uploads a CA with its hostnames', async (gate) => {
      const zone_id = await gate.zone('heron.example')
      at = scope === 'zone_id' ? { zone_id } : { account_id: gate.account_id }
      made = await access(gate).create({ ...at, name: 'Partner', certificate: root.pem, associated_hostnames: ['b.heron.example', 'a.heron.example'] })
      assert.match(made.id, UUID)
      assert.match(made.fingerprint, /^MD5 Fingerprint=([0-9A-F]{2}:){15}[0-9A-F]{2}$/)
      assert.deepEqual(made.associated_hostnames, ['b.heron.example', 'a.heron.example'])
      assert.match(made.expires_on, SECONDS)
      assert.ok(!JSON.stringify(made).includes('BEGIN'))
      assert.deepEqual(await access(gate).get(made.id, at), made)
      assert.deepEqual((await all(access(gate).list(at))).map(({ id }) => id), [made.id])
    })
    it('has settings of hostnames', async (gate) => {
      const settings = [{ hostname: 'a.heron.example', china_network: false, client_certificate_forwarding: true }]
      assert.deepEqual(await all(access(gate).settings.update({ ...at, settings })), settings)
      assert.ok((await all(access(gate).settings.get(at))).some((one) => one.hostname === 'a.heron.example' && one.client_certificate_forwarding))
    })
    it('refuses a certificate that is no CA', async (gate) => {
      const { pem } = certificates.leaf(root, 'x')
      await refused(access(gate).create({ ...at, name: 'leaf', certificate: pem, associated_hostnames: [] }), 400, 12131)
    })
    it('is deleted only after its hostnames are gone', async (gate) => {
      await refused(access(gate).delete(made.id, at), 409, 12132)
      const emptied = await access(gate).update(made.id, { ...at, associated_hostnames: [], name: 'Partner' })
      assert.deepEqual(emptied.associated_hostnames, [])
      assert.deepEqual(await access(gate).delete(made.id, at), { id: made.id })
      await refused(access(gate).get(made.id, at), 404, 12135)
      await refused(access(gate).delete(NO_UUID, at), 404, 12135)
    })
  })
}
