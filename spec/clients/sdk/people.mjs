// Accounts, memberships, the user, tokens of both owners and the global key, through the SDK.

import assert from 'node:assert/strict'

import { walk } from '../support/cases.mjs'
import { all, HEX, MICROS, NO_HEX, refused, SECONDS } from '../support/expect.mjs'
import * as gateway from '../support/gateway.mjs'

const ZONE_READ = 'c8fed203ed3043cba015a93ad1616f1f'

walk('sdk: accounts, memberships and user', gateway, (it) => {
  it('lists and gives accounts', async ({ client, account_id }) => {
    const [account, ...others] = await all(client.accounts.list({ per_page: 5 }))
    assert.equal(others.length, 0)
    assert.match(account.id, HEX)
    assert.equal(account.type, 'enterprise')
    assert.match(account.created_on, MICROS)
    assert.deepEqual(await client.accounts.get({ account_id }), account)
  })
  it('makes an account and changes one', async ({ client, account_id }) => {
    const made = await client.accounts.create({ name: 'second', type: 'standard' })
    assert.notEqual(made.id, account_id)
    const changed = await client.accounts.update({ account_id, id: account_id, name: 'Heron', type: 'enterprise' })
    assert.equal(changed.name, 'Heron')
    assert.equal((await all(client.accounts.list({ name: 'Heron' }))).length, 1)
    await refused(client.accounts.update({ account_id, id: account_id, name: '', type: 'enterprise' }), 400)
    await refused(client.accounts.get({ account_id: 'no-such-form' }), 404, 7003)
  })
  it('shows one membership for each account', async ({ client }) => {
    const memberships = await all(client.memberships.list())
    assert.equal(memberships.length, 2)
    assert.equal(memberships[0].status, 'accepted')
    assert.match(memberships[0].account.id, HEX)
    const one = await client.memberships.get(memberships[0].id)
    assert.equal(one.id, memberships[0].id)
    await refused(client.memberships.get(NO_HEX), 404, 1003)
  })
  it('gives and changes the user', async ({ client }) => {
    const user = await client.user.get()
    assert.match(user.id, HEX)
    assert.equal(user.email, 'admin@localhost')
    assert.equal((await client.user.edit({ first_name: 'Ada' })).first_name, 'Ada')
    assert.equal((await client.user.edit({ first_name: null })).first_name, null)
  })
  it('takes e-mail and global key instead of a token, and the token when both come', async (gate) => {
    const key = await gate.command('token', 'key')
    const apiEmail = 'admin@localhost'
    const by_key = gate.sdk({ apiToken: null, apiEmail, apiKey: key })
    assert.equal((await by_key.user.get()).email, apiEmail)
    assert.equal((await all(by_key.accounts.list())).length, 2)
    const wrong = 'f'.repeat(37)
    await refused(gate.sdk({ apiToken: null, apiEmail, apiKey: wrong }).user.get(), 403, 9103)
    await refused(gate.sdk({ apiToken: null, apiEmail: 'x@localhost', apiKey: key }).user.get(), 403, 9103)
    assert.equal((await gate.sdk({ apiEmail, apiKey: wrong }).user.get()).email, apiEmail)
    const next = await gate.command('token', 'key')
    await refused(by_key.user.get(), 403, 9103)
    assert.equal((await gate.sdk({ apiToken: null, apiEmail, apiKey: next }).user.get()).email, apiEmail)
  })
  it('refuses tokens that nobody has', async (gate) => {
    await refused(gate.sdk({ apiToken: 'x'.repeat(40) }).accounts.list(), 403, 9109)
    await refused(gate.sdk({ apiToken: 'x'.repeat(40) }).user.tokens.verify(), 401, 1000)
  })
})

for (const owner of ['user', 'accounts']) {
  walk(`sdk: ${owner}.tokens`, gateway, (it) => {
    let token
    let zone_id
    const tokens = ({ client }) => client[owner].tokens
    const scope = ({ account_id }) => (owner === 'accounts' ? { account_id } : {})
    const owned = (gate) => (owner === 'accounts' ? [scope(gate)] : [])
    const policies = () => [{
      effect: 'allow', permission_groups: [{ id: ZONE_READ }], resources: { [`com.cloudflare.api.account.zone.${zone_id}`]: '*' },
    }]

    it('knows the permission groups', async (gate) => {
      const groups = await all(tokens(gate).permissionGroups.list(...owned(gate)))
      assert.ok(groups.some(({ id, name }) => id === ZONE_READ && name === 'Zone Read'))
    })
    it('makes a token that may do what its policies say, and shows its value once', async (gate) => {
      zone_id = await gate.zone('heron.example')
      await gate.zone('other.example')
      token = await tokens(gate).create({ ...scope(gate), name: 'reader', policies: policies(), condition: { request_ip: { in: ['127.0.0.0/8'] } } })
      assert.match(token.value, /^[0-9A-Za-z_-]{40,80}$/)
      assert.match(token.issued_on, SECONDS)
      const { value, ...rest } = token
      assert.deepEqual(await tokens(gate).get(token.id, ...owned(gate)), rest)
      const limited = gate.sdk({ apiToken: value })
      assert.deepEqual((await all(limited.zones.list())).map(({ id }) => id), [zone_id])
      await refused(limited.zones.delete({ zone_id }), 403, 10000)
    })
    it('verifies it at its own path only', async (gate) => {
      const client = gate.sdk({ apiToken: token.value })
      const account = { account_id: gate.account_id }
      const [right, wrong] = owner === 'user'
        ? [client.user.tokens.verify(), () => client.accounts.tokens.verify(account)]
        : [client.accounts.tokens.verify(account), () => client.user.tokens.verify()]
      assert.equal((await right).status, 'active')
      await refused(wrong(), 401, 1000)
    })
    it('shows memberships to tokens of the user only', async (gate) => {
      const limited = gate.sdk({ apiToken: token.value })
      await refused(limited.memberships.list(), 403, 9109)
    })
    it('changes a token, and rolls its value', async (gate) => {
      const changed = await tokens(gate).update(token.id, { ...scope(gate), name: 'renamed', policies: policies(), status: 'active' })
      assert.equal(changed.name, 'renamed')
      const value = await tokens(gate).value.update(token.id, ...owned(gate))
      assert.equal(typeof value, 'string')
      await refused(gate.sdk({ apiToken: token.value }).zones.list(), 403, 9109)
      assert.equal((await all(gate.sdk({ apiToken: value }).zones.list())).length, 1)
    })
    it('lists page after page until one is empty', async (gate) => {
      for (let index = 0; index < 5; index += 1) await tokens(gate).create({ ...scope(gate), name: `t${index}`, policies: policies() })
      const list = await all(tokens(gate).list({ ...scope(gate), per_page: 5 }))
      assert.equal(list.length, owner === 'user' ? 7 : 6)
      assert.ok(list.every((one) => !('value' in one)))
    })
    it('refuses what makes no sense, and deletes', async (gate) => {
      await refused(tokens(gate).create({ ...scope(gate), name: '', policies: policies() }), 400, 400)
      const unknown = [{ ...policies()[0], permission_groups: [{ id: NO_HEX }] }]
      await refused(tokens(gate).create({ ...scope(gate), name: 'x', policies: unknown }), 400, 1001)
      assert.deepEqual(await tokens(gate).delete(token.id, ...owned(gate)), { id: token.id })
      await refused(tokens(gate).get(token.id, ...owned(gate)), 404, 1003)
      await refused(tokens(gate).delete(token.id, ...owned(gate)), 404, 1003)
    })
  })
}
