// CAs, leaf certificates, hostname associations and client certificates of the managed CA, through the SDK.

import assert from 'node:assert/strict'

import { walk } from '../support/cases.mjs'
import * as certificates from '../support/certificates.mjs'
import { all, MICROS, NO_UUID, refused, SECONDS, UUID } from '../support/expect.mjs'
import * as gateway from '../support/gateway.mjs'

walk('sdk: mtlsCertificates', gateway, (it) => {
  const root = certificates.ca('Device Root')
  const leaf = certificates.leaf(root, 'edge')
  let uploaded

  it('uploads a CA and gives it back as it came', async ({ client, account_id }) => {
    uploaded = await client.mtlsCertificates.create({ account_id, ca: true, certificates: root.pem, name: 'devices' })
    assert.match(uploaded.id, UUID)
    assert.equal(uploaded.certificates, root.pem)
    assert.equal(uploaded.name, 'devices')
    assert.equal(uploaded.ca, true)
    assert.equal(uploaded.issuer, 'CN=Device Root,O=Heron Ltd,C=NO')
    assert.equal(uploaded.signature, 'ECDSAWithSHA256')
    assert.match(uploaded.serial_number, /^\d+$/)
    assert.match(uploaded.uploaded_on, MICROS)
    assert.equal(uploaded.updated_at, uploaded.uploaded_on)
    assert.match(uploaded.expires_on, SECONDS)
    const { updated_at, ...rest } = uploaded
    assert.deepEqual(await client.mtlsCertificates.get(uploaded.id, { account_id }), rest)
  })
  it('uploads a leaf and never shows its key', async ({ client, account_id }) => {
    const made = await client.mtlsCertificates.create({ account_id, ca: false, certificates: leaf.pem, private_key: leaf.key })
    assert.equal(made.ca, false)
    assert.ok(!('private_key' in made) && !('name' in made))
  })
  it('lists all of them, and those of a type', async ({ client, account_id }) => {
    assert.equal((await all(client.mtlsCertificates.list({ account_id }))).length, 2)
    assert.equal((await all(client.mtlsCertificates.list({ account_id, type: ['custom', 'access_managed'] }))).length, 2)
    assert.equal((await all(client.mtlsCertificates.list({ account_id, type: ['gateway_managed'] }))).length, 0)
  })
  it('tells who uses a certificate', async ({ client, account_id }) => {
    assert.deepEqual(await all(client.mtlsCertificates.associations.get(uploaded.id, { account_id })), [])
  })
  const REFUSED = [
    ['the same CA again', { ca: true, certificates: root.pem }, 1471],
    ['a name that is taken', { ca: true, certificates: certificates.ca('Other').pem, name: 'devices' }, 1471],
    ['text that is no PEM', { ca: true, certificates: 'nothing' }, 1408],
    ['a leaf as a CA', { ca: true, certificates: certificates.leaf(root, 'x').pem }, 1411],
    ['a leaf without its key', { ca: false, certificates: certificates.leaf(root, 'y').pem }, 2106],
    ['a leaf with another key', { ca: false, certificates: certificates.leaf(root, 'z').pem, private_key: root.key }, 2200],
    ['a number as the certificate', { ca: true, certificates: 7 }, 1400],
  ]
  for (const [what, body, code] of REFUSED) {
    it(`refuses ${what} with ${code}`, ({ client, account_id }) => refused(client.mtlsCertificates.create({ account_id, ...body }), 400, code))
  }
  it('refuses the sixth CA with 1489, and takes it once one is gone', async ({ client, account_id }) => {
    const made = []
    for (let index = 2; index <= 5; index += 1) {
      made.push(await client.mtlsCertificates.create({ account_id, ca: true, certificates: certificates.ca(`Root ${index}`).pem }))
    }
    const sixth = { account_id, ca: true, certificates: certificates.ca('Root 6').pem }
    await refused(client.mtlsCertificates.create(sixth), 400, 1489)
    await client.mtlsCertificates.delete(made[0].id, { account_id })
    await client.mtlsCertificates.create(sixth)
  })
  it('answers a delete with the whole certificate, and 404 afterwards', async ({ client, account_id }) => {
    const gone = await client.mtlsCertificates.delete(uploaded.id, { account_id })
    assert.equal(gone.certificates, root.pem)
    await refused(client.mtlsCertificates.get(uploaded.id, { account_id }), 404, 1472)
    await refused(client.mtlsCertificates.delete(uploaded.id, { account_id }), 404, 1472)
    await refused(client.mtlsCertificates.associations.get(uploaded.id, { account_id }), 404, 1472)
  })
  it('forbids what the token may not do', async (gate) => {
    const reader = gate.sdk({ apiToken: await gate.limited_token('Account: SSL and Certificates Read') })
    const { account_id } = gate
    assert.equal((await all(reader.mtlsCertificates.list({ account_id }))).length, 5)
    await refused(reader.mtlsCertificates.create({ account_id, ca: true, certificates: root.pem }), 403, 10000)
  })
})

walk('sdk: hostnameAssociations and clientCertificates', gateway, (it) => {
  const root = certificates.ca('Partner Root')
  let zone_id
  let mtls_certificate_id
  let device

  it('associates hostnames with a CA, in the given order', async (gate) => {
    const { client, account_id } = gate
    zone_id = await gate.zone('heron.example')
    mtls_certificate_id = (await client.mtlsCertificates.create({ account_id, ca: true, certificates: root.pem })).id
    const hostnames = ['pay.heron.example', 'api.heron.example', 'heron.example']
    const { hostnameAssociations } = client.certificateAuthorities
    assert.deepEqual((await hostnameAssociations.update({ zone_id, hostnames, mtls_certificate_id })).hostnames, hostnames)
    assert.deepEqual((await hostnameAssociations.get({ zone_id, mtls_certificate_id })).hostnames, hostnames)
    assert.deepEqual((await hostnameAssociations.get({ zone_id })).hostnames, [])
  })
  it('keeps the lists of CAs apart, the managed CA among them', async ({ client }) => {
    const { hostnameAssociations } = client.certificateAuthorities
    await hostnameAssociations.update({ zone_id, hostnames: ['api.heron.example'] })
    assert.deepEqual((await hostnameAssociations.get({ zone_id })).hostnames, ['api.heron.example'])
    assert.equal((await hostnameAssociations.get({ zone_id, mtls_certificate_id })).hostnames.length, 3)
  })
  it('tells that a certificate is in use, and does not delete it', async ({ client, account_id }) => {
    const uses = await all(client.mtlsCertificates.associations.get(mtls_certificate_id, { account_id }))
    assert.deepEqual(uses, [{ service: 'api_shield', status: 'active' }])
    await refused(client.mtlsCertificates.delete(mtls_certificate_id, { account_id }), 400, 1485)
  })
  it('refuses foreign hostnames, unknown CAs and unknown zones', async ({ client }) => {
    const { hostnameAssociations } = client.certificateAuthorities
    await refused(hostnameAssociations.update({ zone_id, hostnames: ['api.other.example'], mtls_certificate_id }), 400, 1407)
    await refused(hostnameAssociations.update({ zone_id, hostnames: [], mtls_certificate_id: NO_UUID }), 404, 1472)
    await refused(hostnameAssociations.get({ zone_id, mtls_certificate_id: NO_UUID }), 404, 1472)
    await refused(hostnameAssociations.get({ zone_id: 'f'.repeat(32) }), 404, 7003)
    assert.equal((await hostnameAssociations.get({ zone_id, mtls_certificate_id })).hostnames.length, 3)
  })

  it('signs a request', async ({ client }) => {
    const { pem } = certificates.request('/C=NO/L=Oslo/O=Heron Ltd/CN=pump-17')
    device = await client.clientCertificates.create({ zone_id, csr: pem, validity_days: 365 })
    assert.match(device.id, UUID)
    assert.equal(device.csr, pem)
    assert.equal(device.common_name, 'pump-17')
    assert.equal(device.location, 'Oslo')
    assert.equal(device.state, '')
    assert.equal(device.status, 'active')
    assert.equal(device.validity_days, 365)
    assert.match(device.serial_number, /^[0-9a-f]+$/)
    assert.match(device.fingerprint_sha256, /^[0-9a-f]{64}$/)
    assert.match(device.expires_on, SECONDS)
    assert.deepEqual(await client.clientCertificates.get(device.id, { zone_id }), device)
  })
  it('lists page after page until one is empty', async ({ client }) => {
    const { pem } = certificates.request('/CN=pump')
    for (let index = 0; index < 6; index += 1) await client.clientCertificates.create({ zone_id, csr: pem, validity_days: 1 })
    const ids = (await all(client.clientCertificates.list({ zone_id, per_page: 5 }))).map(({ id }) => id)
    assert.equal(new Set(ids).size, 7)
    assert.equal(ids.length, 7)
  })
  it('revokes and restores', async ({ client }) => {
    assert.equal((await client.clientCertificates.delete(device.id, { zone_id })).status, 'pending_revocation')
    await gateway.until('the revocation', async () => (await client.clientCertificates.get(device.id, { zone_id })).status === 'revoked')
    await refused(client.clientCertificates.delete(device.id, { zone_id }), 400, 1407)
    assert.deepEqual((await all(client.clientCertificates.list({ zone_id, status: 'revoked' }))).map(({ id }) => id), [device.id])
    assert.equal((await client.clientCertificates.edit(device.id, { zone_id, reactivate: true })).status, 'pending_reactivation')
    await gateway.until('the restoration', async () => (await client.clientCertificates.get(device.id, { zone_id })).status === 'active')
  })
  it('refuses what is no request, and ids that nobody has', async ({ client }) => {
    await refused(client.clientCertificates.create({ zone_id, csr: 'nothing', validity_days: 1 }), 400, 1430)
    await refused(client.clientCertificates.create({ zone_id, csr: device.csr, validity_days: 0 }), 400, 1400)
    await refused(client.clientCertificates.get(NO_UUID, { zone_id }), 404, 1415)
    await refused(client.clientCertificates.delete(NO_UUID, { zone_id }), 404, 1415)
  })
})
