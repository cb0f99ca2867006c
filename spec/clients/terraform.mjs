// What the Terraform provider sends for each of its resources, replayed from terraform/*.json: create, refresh, plan, update, plan,
// delete, refresh. After each write everything that was configured has to come back equal, or Terraform fails the apply or shows
// a difference for ever; after the delete the answer has to be 404, or it never forgets the resource.
//
// A file is a list of { resource, before?, create, read?, id?, update?, delete?, gone?, write_only? }. Steps are [method, path, body?, status?].
// `{name}` in a path or a text, and a text `$name`, are values of the walk: `zone`, `account`, `id` (of the resource) and what `before` made;
// certificates are in `certificates` below. `gone` is the status of the last refresh (404; null: there is no delete to see).
// `read_as` names the way from the result of the refresh to the object; `write_only` what is never given back.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'

import { walk } from './support/cases.mjs'
import * as certificates from './support/certificates.mjs'
import * as gateway from './support/gateway.mjs'

const here = path.join(path.dirname(new URL(import.meta.url).pathname), 'terraform')
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/

const root = certificates.ca('Device Root')
const server = (name) => certificates.leaf(root, name, { names: [name, `*.${name}`] })
const texts = {
  ca: root.pem, other_ca: certificates.ca('Other Root').pem, crlf_ca: certificates.ca('Windows Root').pem.replace(/\n/g, '\r\n'),
  commented_ca: `# the root of all devices\n${certificates.ca('Commented Root').pem}`, csr: certificates.request('/CN=pump-17').pem,
}
for (const [name, pair] of Object.entries({ leaf: certificates.leaf(root, 'edge'), server: server('heron.example'), renewed: server('heron.example') })) {
  texts[name] = pair.pem
  texts[`${name}_key`] = pair.key
}

function filled(value, known) {
  if (Array.isArray(value)) return value.map((one) => filled(one, known))
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [filled(key, known), filled(one, known)]))
  }
  if (typeof value !== 'string') return value
  const whole = /^\$(\w+)$/.exec(value)
  if (whole) return known[whole[1]] ?? assert.fail(`no value called ${value}`)
  return value.replace(/\{(\w+)\}/g, (all, name) => known[name] ?? all)
}

const sorted = (value) => (value && typeof value === 'object' && !Array.isArray(value)
  ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])])) : Array.isArray(value) ? value.map(sorted) : value)

// The configured value, as far as it goes, is what came back.
function agrees(configured, given, where) {
  if (configured === null) return assert.ok(given === undefined || given === null || given === '', `${where} is not taken away`)
  if (Array.isArray(configured)) {
    assert.ok(Array.isArray(given), `${where} is no array`)
    assert.equal(given.length, configured.length, `${where} has another length`)
    return configured.forEach((one, index) => agrees(one, given[index], `${where}/${index}`))
  }
  if (typeof configured === 'object') {
    assert.ok(given && typeof given === 'object', `${where} is no object but ${JSON.stringify(given)}`)
    return Object.keys(configured).forEach((key) => agrees(configured[key], given[key], `${where}/${key}`))
  }
  assert.strictEqual(given, configured, `${where} came back different`)
}

// The provider reads every one of these as RFC 3339 and fails on an empty text.
function check_times(value, where) {
  for (const [key, one] of Object.entries(value ?? {})) {
    if (one && typeof one === 'object') check_times(one, `${where}/${key}`)
    else if (/(_on|_at|_before)$/.test(key) && one !== null) assert.match(String(one), TIME, `${where}/${key}`)
  }
}

const HEADERS = { 'content-type': 'application/json', 'user-agent': 'terraform-provider-cloudflare', 'x-stainless-lang': 'go', 'x-stainless-retry-count': '0' }

class Resource {
  constructor(gate, described, known) {
    Object.assign(this, { gate, described, known })
  }

  async send([method, target, body, status], expected) {
    const sent = body === undefined ? undefined : JSON.stringify(sorted(filled(body, this.known)))
    const answer = await this.gate.call(method, filled(target, this.known), sent, HEADERS)
    const wanted = expected ?? status ?? 200
    assert.equal(answer.status, wanted, `${method} ${target} ${sent ?? ''}: ${answer.text}`)
    if (wanted === 204) assert.equal(answer.text, '')
    else check_times(answer.body.result, method)
    return answer.body?.result
  }

  compare(body, given, what) {
    const { write_only = [] } = this.described
    for (const [key, value] of Object.entries(filled(body, this.known))) {
      if (write_only.includes(key)) assert.ok(given[key] === undefined, `${what} shows ${key}`)
      else agrees(value, given[key], `${what}: ${key}`)
    }
  }

  read_out(result) {
    const { read_as } = this.described
    if (read_as) return result.find((one) => one[read_as[0]] === filled(read_as[1], this.known)) ?? assert.fail(`not in ${JSON.stringify(result)}`)
    return result
  }

  async refresh(status) {
    const result = await this.send(this.described.read, status)
    return status ? undefined : this.read_out(result)
  }

  // A write, and the plan after it: two refreshes that agree with it and with each other.
  async apply(step) {
    const answer = await this.send(step)
    this.known.id ??= answer?.id
    const configured = step[2]
    if (!this.described.answers_id_only) this.compare(configured, this.described.answers_list ? answer[0] : answer, 'the answer')
    const first = await this.refresh()
    this.compare(configured, first, 'the refresh')
    assert.deepEqual(await this.refresh(), first)
  }
}

for (const file of fs.readdirSync(here).sort()) {
  const described = JSON.parse(fs.readFileSync(path.join(here, file), 'utf8'))
  walk(`terraform: ${path.basename(file, '.json')}`, gateway, (it) => {
    let known
    for (const one of described) {
      it(one.title, async (gate) => {
        known ??= { ...texts, account: gate.account_id, zone: await gate.zone('heron.example') }
        const resource = new Resource(gate, one, { ...known })
        for (const [name, step] of Object.entries(one.before ?? {})) {
          const made = await resource.send(step)
          resource.known[name] = made?.id ?? made
        }
        await resource.apply(one.create)
        for (const step of one.updates ?? []) await resource.apply(step)
        for (const step of one.delete ?? []) await resource.send(step)
        if (one.delete && one.gone !== null) await resource.refresh(one.gone ?? 404)
        for (const step of one.after ?? []) await resource.send(step)
      })
    }
  })
}
