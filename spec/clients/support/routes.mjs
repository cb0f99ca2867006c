// Which routes of the admin API the walks have used: what they send is noted here, and run.mjs compares it with the routes
// that the gateway has. Knows nothing of what the routes do.

import { execFileSync } from 'node:child_process'
import path from 'node:path'

const top = path.resolve(path.dirname(new URL(import.meta.url).pathname), '../../..')
const sent = new Set()

/** A fetch that notes method and path of what it sends to `base`. */
export function recording(base) {
  return (resource, options = {}) => {
    const { pathname } = new URL(resource)
    sent.add(`${(options.method ?? 'GET').toUpperCase()} ${pathname.slice(new URL(base).pathname.length)}`)
    return fetch(resource, options)
  }
}

/** Notes what another client is known to send. */
export function note(method, pathname) {
  sent.add(`${method} ${pathname}`)
}

const LIST = 'dofile("spec/support/tree.lua") for _, r in ipairs(require("moongate.admin").routes()) do print(r.method .. " " .. r.path) end'

/** The routes that no walk has used, `METHOD /path/{parameter}`; those of our own are left to other specs. */
export function unwalked() {
  const routes = execFileSync('luajit', ['-e', LIST], { cwd: top, encoding: 'utf8' }).trim().split('\n')
  const walked = [...sent]
  return routes.filter((route) => {
    if (route.includes('/moongate/')) return false
    const pattern = new RegExp(`^${route.replace(/\{[^}]+\}/g, '[^/]+')}$`)
    return !walked.some((one) => pattern.test(one))
  })
}
