// Loaded into another program of Node (--require): it can reach this machine only. Whatever else it wanted is refused and noted, a
// line each, in the file that SPEC_REFUSED_HOSTS names.

const fs = require('node:fs')
const net = require('node:net')

const connect = net.Socket.prototype.connect

net.Socket.prototype.connect = function (...given) {
  const [options] = Array.isArray(given[0]) ? given[0] : given
  const host = typeof options === 'object' ? options.path ?? options.host ?? 'localhost' : given[1] ?? 'localhost'
  if (['localhost', '127.0.0.1', '::1'].includes(host) || (typeof options === 'object' && options.path)) return connect.apply(this, given)
  fs.appendFileSync(process.env.SPEC_REFUSED_HOSTS, `${host}\n`)
  process.nextTick(() => this.destroy(new Error(`${host} is not this machine`)))
  return this
}
