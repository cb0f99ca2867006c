// A gateway of its own for each walk of spec/clients: own directory, own ports, own store, started from the built program.
// `begin` and `end` fit `walk` of cases.mjs; what is in between goes through the official clients or through `call`.
//
// Processes leave their ids in $MOONGATE_SPEC_DIR/pids, where spec/run ends what a crash left behind.

import { execFile, spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

import Cloudflare from 'cloudflare'

import * as routes from './routes.mjs'

const run = promisify(execFile)
const top = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../../..')
const build = path.resolve(top, process.env.MOONGATE_BUILD_DIR ?? 'build/dev')
const START_MS = process.env.MOONGATE_SANITIZED ? 60000 : 20000
const STOP_MS = 30000

export const program = path.join(build, 'moongate')

/** A fresh directory. */
export function directory(name) {
  return fs.mkdtempSync(path.join(process.env.MOONGATE_SPEC_DIR ?? os.tmpdir(), `${name}.`))
}

/** Asks until the answer is true, then gives it back; fails with what was waited for when the deadline passes. */
export async function until(what, ask, milliseconds = 10000) {
  const last = Date.now() + milliseconds
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > last) throw new Error(`waited ${milliseconds / 1000} s in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function start(argv, stdout, stderr) {
  const files = [stdout, stderr].map((file) => fs.openSync(file, 'a'))
  const child = spawn(argv[0], argv.slice(1), { stdio: ['ignore', ...files] })
  files.forEach((fd) => fs.closeSync(fd))
  const ids = process.env.MOONGATE_SPEC_DIR && path.join(process.env.MOONGATE_SPEC_DIR, 'pids')
  if (ids) {
    fs.mkdirSync(ids, { recursive: true })
    fs.writeFileSync(path.join(ids, String(child.pid)), '')
  }
  child.over = new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      if (ids) fs.rmSync(path.join(ids, String(child.pid)), { force: true })
      resolve({ code, signal })
    })
  })
  return child
}

async function stop(child, what) {
  if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${what} had ended by itself`)
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  const { code, signal } = await child.over
  clearTimeout(timer)
  if (code !== 0) throw new Error(`${what} ended with ${code ?? signal}`)
}

// The configuration's text.
const lua = (value) => typeof value === 'object' && value !== null
  ? `{ ${Object.entries(value).map(([key, one]) => (Array.isArray(value) ? lua(one) : `${key} = ${lua(one)}`)).join(', ')} }`
  : JSON.stringify(value)

class Gateway {
  constructor(config) {
    this.directory = directory('clients')
    this.config_path = path.join(this.directory, 'moongate.lua')
    this.log = path.join(this.directory, 'gateway.log')
    this.ca_path = path.join(this.directory, 'data/local-ca.pem')
    fs.writeFileSync(this.config_path, `return ${lua({
      listen: ['127.0.0.1:0'], admin: { listen: '127.0.0.1:0' }, data_dir: 'data', workers: 2, log: { level: 'info' }, ...config,
    })}\n`)
  }

  /** Runs a command of the program and gives what it printed. */
  async command(...argv) {
    const { stdout } = await run(program, [...argv, '-c', this.config_path], { timeout: 30000 })
    return stdout.trim()
  }

  async launch() {
    this.token ??= await this.command('token', 'create', '--name', 'clients')
    fs.writeFileSync(this.log, '')
    this.child = start([program, 'run', '-c', this.config_path], path.join(this.directory, 'stdout'), this.log)
    const line = await until('the gateway to be ready', () => {
      if (this.child.exitCode !== null) throw new Error(`the gateway ended:\n${fs.readFileSync(this.log)}`)
      return /^\{"subject":"gateway","what":"ready".*\}$/m.exec(fs.readFileSync(this.log, 'utf8'))
    }, START_MS)
    const ready = JSON.parse(line[0])
    this.port = Number(/:(\d+)$/.exec(ready.listen[0])[1])
    this.url = `http://${ready.admin}/client/v4`
    this.client = this.sdk()
    this.account_id = (await this.client.accounts.list()).result[0].id
  }

  /** Ends it without a word, as a crash would, and starts it again with what it stored. */
  async crash() {
    this.child.kill('SIGKILL')
    await this.child.over
    await this.launch()
  }

  /** The official SDK against this gateway; retries would hide what is answered, so there are none. */
  sdk(options = {}) {
    return new Cloudflare({
      apiToken: this.token, apiEmail: null, apiKey: null, userServiceKey: null, baseURL: this.url, maxRetries: 0,
      fetch: routes.recording(this.url), ...options,
    })
  }

  /** One call without a client: { status, headers, text, body }. `body` is sent as it is when it is a string. */
  async call(method, target, body, headers = {}) {
    const response = await routes.recording(this.url)(this.url + target, {
      method, headers: { authorization: `Bearer ${this.token}`, ...headers },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    })
    const text = await response.text()
    return {
      status: response.status, headers: response.headers, text,
      body: text !== '' && (response.headers.get('content-type') ?? '').includes('json') ? JSON.parse(text) : undefined,
    }
  }

  /** A token with these permission groups over everything, made on the machine. */
  limited_token(...groups) {
    return this.command('token', 'create', '--name', groups[0], ...groups.flatMap((group) => ['--permission', group]))
  }

  /** A zone; with an origin behind all of its names when `origin` is given. */
  async zone(name, origin) {
    const { id } = await this.client.zones.create({ name, account: { id: this.account_id } })
    if (origin) {
      const { status, text } = await this.call('PUT', `/zones/${id}/moongate/origins/*`, { url: origin.url })
      if (status !== 200) throw new Error(text)
    }
    return id
  }

  /** The real curl at the edge: the status, 0 when there was no answer. */
  async status(host, { certificate, ca = this.ca_path, path: target = '/' } = {}) {
    const argv = ['-sS', '--max-time', '30', '--noproxy', '*', '--cacert', ca, '-o', '/dev/null', '-w', '%{http_code}',
      '--resolve', `${host}:${this.port}:127.0.0.1`, `https://${host}:${this.port}${target}`]
    if (certificate) argv.push('--cert', certificate.path, '--key', certificate.key_path)
    return Number((await run('curl', argv)).stdout)
  }
}

/** Starts a gateway. */
export async function begin(config = {}) {
  const gate = new Gateway(config)
  await gate.launch()
  return gate
}

/** Ends it as an operator would; a failed walk leaves its directory behind. */
export async function end(gate, failed) {
  if (failed) console.log(`kept: ${gate.directory}`)
  await stop(gate.child, 'the gateway')
  if (gate.behind) await stop(gate.behind.child, 'the origin').catch(() => {}) // it knows no orderly end
  if (!failed) fs.rmSync(gate.directory, { recursive: true })
}

/** Starts the small origin of the specs; `end` of the gateway takes it down. */
export async function origin(gate) {
  const stdout = path.join(gate.directory, 'origin.stdout')
  const child = start([path.join(build, 'moongate-test-origin'), '--log', path.join(gate.directory, 'origin.log')], stdout,
    path.join(gate.directory, 'origin.stderr'))
  const port = await until('the origin to listen', () => /listening [\d.]+:(\d+)\n/.exec(fs.readFileSync(stdout, 'utf8')))
  gate.behind = { child, url: `http://127.0.0.1:${port[1]}` }
  return gate.behind
}
