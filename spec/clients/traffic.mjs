// The main job with the official SDK and real traffic: upload a CA, associate, put a rule; who has no certificate is blocked.

import assert from 'node:assert/strict'

import { walk } from './support/cases.mjs'
import * as certificates from './support/certificates.mjs'
import * as gateway from './support/gateway.mjs'

const PHASE = 'http_request_firewall_custom'
const HOST = 'api.heron.example'

walk('traffic: what the SDK configures is what the edge does', gateway, (it) => {
  const root = certificates.ca('Device Root')
  const device = certificates.leaf(root, 'pump-17')
  const stranger = certificates.leaf(certificates.ca('Device Root'), 'pump-17')
  let zone_id
  let mtls_certificate_id
  const associate = ({ client }, hostnames) => client.certificateAuthorities.hostnameAssociations.update({ zone_id, mtls_certificate_id, hostnames })

  it('lets everybody in before there is a rule', async (gate) => {
    zone_id = await gate.zone('heron.example', await gateway.origin(gate))
    mtls_certificate_id = (await gate.client.mtlsCertificates.create({ account_id: gate.account_id, ca: true, certificates: root.pem })).id
    await associate(gate, [HOST])
    assert.equal(await gate.status(HOST), 200)
    assert.equal(await gate.status(HOST, { certificate: device }), 200)
  })
  it('blocks who is not verified, from the next request on', async (gate) => {
    await gate.client.rulesets.phases.update(PHASE, { zone_id, rules: [
      { action: 'block', expression: `(http.host in {"${HOST}"} and not cf.tls_client_auth.cert_verified)` },
    ] })
    assert.equal(await gate.status(HOST), 403)
    assert.equal(await gate.status(HOST, { certificate: stranger }), 403)
    assert.equal(await gate.status(HOST, { certificate: device }), 200)
    assert.equal(await gate.status('www.heron.example'), 200)
  })
  it('takes a certificate of the managed CA, until it is revoked', async (gate) => {
    const { client } = gate
    await client.certificateAuthorities.hostnameAssociations.update({ zone_id, hostnames: [HOST] })
    const asked = certificates.request('/CN=pump-18')
    const issued = await client.clientCertificates.create({ zone_id, csr: asked.pem, validity_days: 30 })
    const certificate = { path: certificates.written(issued.certificate), key_path: asked.key_path }
    assert.equal(await gate.status(HOST, { certificate }), 200)
    const [ruleset] = (await client.rulesets.list({ zone_id })).result
    await client.rulesets.rules.create(ruleset.id, { zone_id, action: 'block', expression: 'cf.tls_client_auth.cert_revoked' })
    assert.equal(await gate.status(HOST, { certificate }), 200)
    await client.clientCertificates.delete(issued.id, { zone_id })
    assert.equal(await gate.status(HOST, { certificate }), 403)
    await client.clientCertificates.edit(issued.id, { zone_id, reactivate: true })
    assert.equal(await gate.status(HOST, { certificate }), 200)
  })
  it('asks a list of the account', async (gate) => {
    const { client, account_id } = gate
    const list = await client.rules.lists.create({ account_id, kind: 'ip', name: 'banned' })
    await client.rulesets.phases.update(PHASE, { account_id, rules: [{ action: 'block', expression: 'ip.src in $banned' }] })
    assert.equal(await gate.status('www.heron.example'), 200)
    await client.rules.lists.items.create(list.id, { account_id, body: [{ ip: '127.0.0.0/8' }] })
    assert.equal(await gate.status('www.heron.example'), 403)
    await client.rules.lists.items.update(list.id, { account_id, body: [] })
    assert.equal(await gate.status('www.heron.example'), 200)
  })
  it('serves an uploaded certificate', async (gate) => {
    const server = certificates.ca('Heron CA')
    const pair = certificates.leaf(server, HOST, { names: [HOST] })
    await gate.client.customCertificates.create({ zone_id, certificate: pair.pem, private_key: pair.key, bundle_method: 'force' })
    assert.equal(await gate.status(HOST, { certificate: device, ca: server.path }), 200)
  })
  it('forgets the zone with all that it blocked', async (gate) => {
    await gate.client.zones.delete({ zone_id })
    assert.notEqual(await gate.status(HOST, { certificate: device }).catch(() => 0), 200)
  })
})
