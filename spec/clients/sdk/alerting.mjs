// Notifications through the SDK: webhooks, which are tried before they are stored, policies and history.

import assert from 'node:assert/strict'
import http from 'node:http'

import { walk } from '../support/cases.mjs'
import { all, NO_UUID, refused, SECONDS, UUID } from '../support/expect.mjs'
import * as gateway from '../support/gateway.mjs'

const TYPE = 'mtls_certificate_store_certificate_expiration_type'

/** A gateway, and somebody who takes messages: `received` has them. */
async function begin() {
  const gate = await gateway.begin({ outgoing: { allow_local: true } })
  gate.received = []
  gate.listener = http.createServer((request, response) => {
    let body = ''
    request.on('data', (piece) => { body += piece })
    request.on('end', () => {
      gate.received.push({ path: request.url, secret: request.headers['cf-webhook-auth'], body: JSON.parse(body) })
      response.writeHead(request.url === '/broken' ? 500 : 200).end()
    })
  })
  await new Promise((resolve) => { gate.listener.listen(0, '127.0.0.1', resolve) })
  gate.hook = (target) => `http://127.0.0.1:${gate.listener.address().port}${target}`
  return gate
}

async function end(gate, failed) {
  gate.listener.close()
  await gateway.end(gate, failed)
}

walk('sdk: alerting', { begin, end }, (it) => {
  let webhook
  let policy

  it('tells what can be told, and how', async ({ client, account_id }) => {
    const available = await client.alerting.availableAlerts.list({ account_id })
    assert.ok(Object.values(available).flat().some(({ type }) => type === TYPE))
    const eligible = await client.alerting.destinations.eligible.get({ account_id })
    assert.equal(eligible.webhooks[0].eligible, true)
    assert.deepEqual(await all(client.alerting.destinations.pagerduty.get({ account_id })), [])
  })
  it('tries a webhook with its secret before it is stored', async (gate) => {
    const { client, account_id } = gate
    const { id } = await client.alerting.destinations.webhooks.create({ account_id, name: 'ops', url: gate.hook('/in'), secret: 'hush' })
    assert.match(id, UUID)
    assert.equal(gate.received[0].path, '/in')
    assert.equal(gate.received[0].secret, 'hush')
    assert.match(gate.received[0].body.text, /Hello World!/)
    webhook = await client.alerting.destinations.webhooks.get(id, { account_id })
    assert.equal(webhook.type, 'generic')
    assert.ok(!JSON.stringify(webhook).includes('hush'))
    assert.match(webhook.created_at, SECONDS)
    assert.deepEqual(await all(client.alerting.destinations.webhooks.list({ account_id })), [webhook])
  })
  it('stores no webhook that does not answer', async (gate) => {
    const { client, account_id } = gate
    const { webhooks } = client.alerting.destinations
    await refused(webhooks.create({ account_id, name: 'broken', url: gate.hook('/broken') }), 422)
    await refused(webhooks.update(webhook.id, { account_id, name: 'ops', url: gate.hook('/broken') }), 422)
    assert.equal((await all(webhooks.list({ account_id }))).length, 1)
    assert.equal((await webhooks.get(webhook.id, { account_id })).url, webhook.url)
  })
  it('makes, changes and lists policies', async ({ client, account_id }) => {
    const mechanisms = { webhooks: [{ id: webhook.id }], email: [{ id: 'ops@heron.example' }] }
    const { policies } = client.alerting
    const { id } = await policies.create({ account_id, name: 'expiry', alert_type: TYPE, enabled: true, mechanisms })
    policy = await policies.get(id, { account_id })
    assert.deepEqual(policy.mechanisms.webhooks, [{ id: webhook.id }])
    assert.match(policy.created, SECONDS)
    assert.deepEqual(await policies.update(id, { account_id, enabled: false }), { id })
    const changed = await policies.get(id, { account_id })
    assert.equal(changed.enabled, false)
    assert.equal(changed.name, 'expiry')
    assert.equal((await all(policies.list({ account_id }))).length, 1)
  })
  it('refuses policies that tell nobody, or nothing, and ids that nobody has', async ({ client, account_id }) => {
    const { policies } = client.alerting
    const create = (body) => policies.create({ account_id, name: 'x', alert_type: TYPE, enabled: true, mechanisms: {}, ...body })
    await refused(create({}), 400, 17102)
    await refused(create({ alert_type: 'nonsense', mechanisms: { email: [{ id: 'a@heron.example' }] } }), 400, 17004)
    await refused(policies.get(NO_UUID, { account_id }), 404)
    await refused(client.alerting.destinations.webhooks.get(NO_UUID, { account_id }), 404)
  })
  it('has a history that can be paged', async ({ client, account_id }) => {
    assert.deepEqual(await all(client.alerting.history.list({ account_id, per_page: 5 })), [])
  })
  it('deletes a webhook after the policy that uses it', async ({ client, account_id }) => {
    const { policies, destinations } = client.alerting
    await refused(destinations.webhooks.delete(webhook.id, { account_id }), 400)
    assert.equal((await policies.delete(policy.id, { account_id })).success, true)
    assert.equal((await destinations.webhooks.delete(webhook.id, { account_id })).success, true)
    await refused(policies.delete(policy.id, { account_id }), 404)
    await refused(destinations.webhooks.delete(webhook.id, { account_id }), 404)
  })
})
