// wrangler, as people run it: upload, list and delete CAs and certificates, and ask who they are.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { walk } from './support/cases.mjs'
import * as certificates from './support/certificates.mjs'
import { all } from './support/expect.mjs'
import * as gateway from './support/gateway.mjs'

const here = path.dirname(new URL(import.meta.url).pathname)
// What bin/wrangler.js starts, as it starts it: that one asks for Node 20 first, while the program itself runs on 18.
const program = ['--no-warnings', '--experimental-vm-modules', path.join(here, 'node_modules/wrangler/wrangler-dist/cli.js')]

/** Runs it with nothing of our environment and no network but this machine: { status, text }. */
function wrangler(gate, argv, { token = gate.token, account = gate.account_id } = {}) {
  const env = {
    PATH: process.env.PATH, HOME: gate.directory, CI: '1', NO_COLOR: '1', CLOUDFLARE_API_BASE_URL: gate.url, CLOUDFLARE_API_TOKEN: token,
    WRANGLER_SEND_METRICS: 'false', WRANGLER_SEND_ERROR_REPORTS: 'false', npm_config_registry: gate.url, npm_registry: gate.url,
    NODE_OPTIONS: ['node18', 'loopback_only'].map((name) => `--require ${path.join(here, `support/${name}.cjs`)}`).join(' '), SPEC_REFUSED_HOSTS: path.join(gate.directory, 'refused'),
  }
  if (account) env.CLOUDFLARE_ACCOUNT_ID = account
  return new Promise((resolve) => {
    execFile(process.execPath, [...program, ...argv], { cwd: gate.directory, env, timeout: 50000 }, (error, stdout, stderr) => {
      resolve({ status: error ? error.code ?? error.signal : 0, text: stdout + stderr })
    })
  })
}

async function succeeds(gate, argv, options) {
  const { status, text } = await wrangler(gate, argv, options)
  assert.equal(status, 0, text)
  return text
}

const id_in = (text) => /^ID: ([0-9a-f-]{36})$/m.exec(text)[1]

walk('wrangler', gateway, (it) => {
  const root = certificates.ca('Device Root')
  const edge = certificates.leaf(root, 'edge')
  const names = async ({ client, account_id }) => (await all(client.mtlsCertificates.list({ account_id }))).map(({ name }) => name).sort()

  it('uploads a CA', async (gate) => {
    const text = await succeeds(gate, ['cert', 'upload', 'certificate-authority', '--ca-cert', root.path, '--name', 'devices'])
    const uploaded = await gate.client.mtlsCertificates.get(id_in(text), { account_id: gate.account_id })
    assert.equal(uploaded.certificates, root.pem)
    assert.equal(uploaded.ca, true)
    assert.match(text, /Issuer: CN=Device Root,O=Heron Ltd,C=NO/)
  })
  it('uploads certificates with their keys, by both of its commands', async (gate) => {
    const files = ['--cert', edge.path, '--key', edge.key_path]
    const text = await succeeds(gate, ['mtls-certificate', 'upload', ...files, '--name', 'edge'])
    assert.equal((await gate.client.mtlsCertificates.get(id_in(text), { account_id: gate.account_id })).ca, false)
    const other = certificates.leaf(root, 'other')
    await succeeds(gate, ['cert', 'upload', 'mtls-certificate', '--cert', other.path, '--key', other.key_path, '--name', 'other'])
    assert.deepEqual(await names(gate), ['devices', 'edge', 'other'])
  })
  it('lists all of them, and certificates without CAs', async (gate) => {
    const everything = await succeeds(gate, ['cert', 'list'])
    for (const name of ['devices', 'edge', 'other']) assert.match(everything, new RegExp(`^Name: ${name}$`, 'm'))
    assert.match(everything, /^CA: true$/m)
    assert.doesNotMatch(everything, /Invalid Date/)
    const leaves = await succeeds(gate, ['mtls-certificate', 'list'])
    assert.match(leaves, /^Name: edge$/m)
    assert.doesNotMatch(leaves, /devices/)
  })
  it('deletes by name and by id', async (gate) => {
    await succeeds(gate, ['mtls-certificate', 'delete', '--name', 'edge'])
    const [other] = await all(gate.client.mtlsCertificates.list({ account_id: gate.account_id, type: ['custom'] }))
    await succeeds(gate, ['mtls-certificate', 'delete', '--id', other.id])
    assert.deepEqual(await names(gate), ['devices'])
    await succeeds(gate, ['cert', 'delete', '--name', 'devices'])
    assert.deepEqual(await names(gate), [])
  })
  it('tells people what was refused, and why', async (gate) => {
    const unknown = await wrangler(gate, ['cert', 'delete', '--name', 'devices'])
    assert.equal(unknown.status, 1)
    assert.match(unknown.text, /certificate not found with name "devices"/)
    const no_ca = await wrangler(gate, ['cert', 'upload', 'certificate-authority', '--ca-cert', edge.path, '--name', 'x'])
    assert.equal(no_ca.status, 1)
    assert.match(no_ca.text, /Only CA certificates are allowed \[code: 1411\]/)
  })
  it('says who it is, with a token of the user', async (gate) => {
    const text = await succeeds(gate, ['whoami'], { account: null })
    assert.match(text, /associated with the email admin@localhost/)
    assert.match(text, new RegExp(gate.account_id))
  })
  it('says who it is, with a token of the account', async (gate) => {
    const { value } = await gate.client.accounts.tokens.create({ account_id: gate.account_id, name: 'ci', policies: [{
      effect: 'allow', permission_groups: [{ id: 'db37e5f1cb1a4e1aabaef8deaea43575' }], resources: { [`com.cloudflare.api.account.${gate.account_id}`]: '*' },
    }] })
    assert.match(await succeeds(gate, ['whoami'], { token: value }), /Account API Token/)
    await succeeds(gate, ['cert', 'list'], { token: value })
    const lost = await wrangler(gate, ['cert', 'list'], { token: value, account: null })
    assert.match(lost.text, /You can skip this account check by .* CLOUDFLARE_ACCOUNT_ID/) // so it understood the refusal
  })
  it('finds the account by itself', async (gate) => {
    await succeeds(gate, ['cert', 'list'], { account: null })
  })
  it('asked nobody but the gateway', (gate) => {
    const file = path.join(gate.directory, 'refused')
    assert.equal(fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '', '')
  })
})
