// Many clients at once: what one of them writes is neither lost nor mixed up with another's, nobody sees a 5xx, versions and
// generations only rise, and a quota holds however close the uploads come.
//
// MOONGATE_SPEC_CONCURRENCY_SECONDS=60 node spec/clients/run.mjs spec/clients/concurrency.mjs   makes it last.

import assert from 'node:assert/strict'

import { walk } from './support/cases.mjs'
import * as certificates from './support/certificates.mjs'
import { all, refused } from './support/expect.mjs'
import * as gateway from './support/gateway.mjs'

const PHASE = 'http_request_firewall_custom'
const CLIENTS = 16
const SECONDS = Number(process.env.MOONGATE_SPEC_CONCURRENCY_SECONDS ?? 5)

/** One client with a zone of its own: changes it until `last`, and knows what must be there. */
class Tenant {
  constructor(gate, index) {
    this.gate = gate
    this.name = `t${index}.example`
    this.client = gate.sdk()
    this.round = 0
    this.version = 0
    this.hostnames = []
  }

  async begin() {
    this.zone_id = await this.gate.zone(this.name, this.gate.behind)
  }

  async change() {
    const { client, zone_id } = this
    this.round += 1
    switch (this.round % 4) {
      case 0: {
        const hostnames = [`h${this.round}.${this.name}`, this.name]
        await client.certificateAuthorities.hostnameAssociations.update({ zone_id, hostnames })
        this.hostnames = hostnames
        break
      }
      case 1:
        await client.zones.settings.edit('min_tls_version', { zone_id, value: this.round % 8 === 1 ? '1.2' : '1.3' })
        break
      default: {
        const rules = [{ action: 'block', expression: `http.request.uri.path eq "/${this.round}"`, ref: 'only' }]
        const { version } = await client.rulesets.phases.update(PHASE, { zone_id, rules })
        assert.ok(Number(version) > this.version, `version ${version} after ${this.version}`)
        this.version = Number(version)
        this.blocked = `/${this.round}`
      }
    }
  }

  async check() {
    const { client, zone_id } = this
    const { hostnames } = await client.certificateAuthorities.hostnameAssociations.get({ zone_id })
    assert.deepEqual(hostnames, this.hostnames)
    if (!this.blocked) return
    const { rules, version } = await client.rulesets.phases.get(PHASE, { zone_id })
    assert.equal(rules.length, 1)
    assert.match(rules[0].expression, new RegExp(`"${this.blocked}"`))
    assert.equal(Number(version), this.version)
  }

  async check_edge() {
    assert.equal(await this.gate.status(`www.${this.name}`, { path: this.blocked }), 403, `${this.name}${this.blocked}`)
    assert.equal(await this.gate.status(`www.${this.name}`, { path: '/0' }), 200, `${this.name}/0`)
  }
}

walk('concurrency', gateway, (it) => {
  const tenants = []

  it(`${CLIENTS} clients change their zones for ${SECONDS} s and nothing is lost`, async (gate) => {
    await gateway.origin(gate)
    for (let index = 0; index < CLIENTS; index += 1) tenants.push(new Tenant(gate, index))
    await Promise.all(tenants.map((tenant) => tenant.begin()))
    const last = Date.now() + SECONDS * 1000
    let changing = true
    const watch = async () => {
      let generation = 0
      while (changing) {
        const { status, body } = await gate.call('GET', '/moongate/status')
        assert.equal(status, 200)
        assert.ok(body.result.generation >= generation, `generation ${body.result.generation} after ${generation}`)
        generation = body.result.generation
        for (const worker of body.result.workers) assert.ok(worker.generation <= generation)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    const work = Promise.all(tenants.map(async (tenant) => {
      while (Date.now() < last) {
        await tenant.change()
        if (tenant.round % 5 === 0) await tenant.check()
      }
      await tenant.check()
    })).finally(() => { changing = false })
    await Promise.all([work, watch()])
    assert.ok(tenants.every(({ round }) => round > 2), 'a client hardly got its turn')
  }, (SECONDS + 60) * 1000)

  it('what they wrote last is what the edge does, also after a crash', async (gate) => {
    for (const tenant of tenants) await tenant.check_edge()
    await gate.crash()
    for (const tenant of tenants) {
      tenant.client = gate.sdk()
      await tenant.check()
      await tenant.check_edge()
    }
  })

  it('rules that many add to one ruleset are all there', async (gate) => {
    const at = { account_id: gate.account_id }
    const { id } = await gate.client.rulesets.phases.update(PHASE, { ...at, rules: [] })
    const versions = []
    await Promise.all(tenants.map(async ({ client }, index) => {
      for (let round = 0; round < 4; round += 1) {
        const { version } = await client.rulesets.rules.create(id, { ...at, action: 'log', expression: 'ssl', ref: `r${index}_${round}` })
        versions.push(Number(version))
      }
    }))
    const { rules } = await gate.client.rulesets.get(id, at)
    assert.equal(new Set(rules.map(({ ref }) => ref)).size, CLIENTS * 4)
    assert.deepEqual([...new Set(versions)].sort((a, b) => a - b), [...Array(CLIENTS * 4).keys()].map((n) => n + 2))
  })

  it('items that many add to one list are all there', async (gate) => {
    const { account_id } = gate
    const { id } = await gate.client.rules.lists.create({ account_id, name: 'shared', kind: 'ip' })
    await Promise.all(tenants.map(async ({ client }, index) => {
      for (let round = 0; round < 4; round += 1) await client.rules.lists.items.create(id, { account_id, body: [{ ip: `10.0.${index}.${round}` }] })
    }))
    assert.equal((await all(gate.client.rules.lists.items.list(id, { account_id }))).length, CLIENTS * 4)
  })

  it('of many uploads at once only so many CAs are taken as the quota allows', async (gate) => {
    const { account_id } = gate
    const roots = [...Array(CLIENTS).keys()].map((index) => certificates.ca(`Race ${index}`).pem)
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.allSettled(roots.map((pem, index) => tenants[index].client.mtlsCertificates.create({ account_id, ca: true, certificates: pem })))
      const made = answers.filter(({ status }) => status === 'fulfilled').map(({ value }) => value.id)
      assert.equal(made.length, 5)
      for (const { status, reason } of answers) {
        if (status === 'rejected') await refused(Promise.reject(reason), 400, 1489)
      }
      assert.equal((await all(gate.client.mtlsCertificates.list({ account_id }))).length, 5)
      await Promise.all(made.map((id) => gate.client.mtlsCertificates.delete(id, { account_id })))
    }
  })

  it('of many zones with one name at once one is made', async (gate) => {
    const account = { id: gate.account_id }
    const answers = await Promise.allSettled(tenants.map(({ client }) => client.zones.create({ name: 'wanted.example', account })))
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const { status, reason } of answers) {
      if (status === 'rejected') await refused(Promise.reject(reason), 400, 1061)
    }
  })

  it('a CA is not deleted from under an association that is made at the same time', async (gate) => {
    const { account_id, client } = gate
    const { zone_id, name } = tenants[0]
    for (let round = 0; round < 5; round += 1) {
      const { id } = await client.mtlsCertificates.create({ account_id, ca: true, certificates: certificates.ca(`Contested ${round}`).pem })
      const [tied, gone] = await Promise.allSettled([
        client.certificateAuthorities.hostnameAssociations.update({ zone_id, hostnames: [name], mtls_certificate_id: id }),
        client.mtlsCertificates.delete(id, { account_id }),
      ])
      assert.notEqual(tied.status, gone.status)
      if (tied.status === 'rejected') await refused(Promise.reject(tied.reason), 404, 1472)
      else await client.certificateAuthorities.hostnameAssociations.update({ zone_id, hostnames: [], mtls_certificate_id: id })
      if (gone.status === 'rejected') {
        await refused(Promise.reject(gone.reason), 400, 1485)
        await client.mtlsCertificates.delete(id, { account_id })
      }
    }
  })
})
