// CAs, certificates, keys and requests for the walks, made by the openssl command line in a directory that goes with the process.

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

const directory = fs.mkdtempSync(path.join(process.env.MOONGATE_SPEC_DIR ?? os.tmpdir(), 'certificates.'))
process.once('exit', () => fs.rmSync(directory, { recursive: true, force: true }))

let count = 0
const fresh = (suffix) => path.join(directory, `${(count += 1)}${suffix}`)
const openssl = (...argv) => execFileSync('openssl', argv, { stdio: ['ignore', 'ignore', 'pipe'] })
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

function made(file, key_path) {
  return { path: file, key_path, pem: fs.readFileSync(file, 'utf8'), key: fs.readFileSync(key_path, 'utf8') }
}

/** A self-signed CA: { pem, key, path, key_path }. */
export function ca(name) {
  const [file, key] = [fresh('.pem'), fresh('.key')]
  openssl('req', '-x509', '-batch', ...KEY, '-keyout', key, '-out', file, '-days', '3650', '-subj', `/C=NO/O=Heron Ltd/CN=${name}`,
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign')
  return made(file, key)
}

/** A certificate of that CA; with names it is a server's, else a client's. `rsa`: with an RSA key. */
export function leaf(issuer, name, { names, rsa } = {}) {
  const [file, key, request, extensions] = [fresh('.pem'), fresh('.key'), fresh('.csr'), fresh('.ext')]
  fs.writeFileSync(extensions, `basicConstraints=CA:FALSE\nextendedKeyUsage=${names ? 'serverAuth' : 'clientAuth'}\n`
    + (names ? `subjectAltName=${names.map((one) => `DNS:${one}`).join(',')}\n` : ''))
  openssl('req', '-new', '-batch', ...(rsa ? ['-newkey', 'rsa:2048', '-nodes'] : KEY), '-keyout', key, '-out', request,
    '-subj', `/CN=${name}`)
  openssl('x509', '-req', '-in', request, '-days', '365', '-CA', issuer.path, '-CAkey', issuer.key_path, '-CAcreateserial',
    '-extfile', extensions, '-out', file)
  return made(file, key)
}

/** A certificate signing request: { pem, key_path }. */
export function request(subject) {
  const [file, key] = [fresh('.csr'), fresh('.key')]
  openssl('req', '-new', '-batch', ...KEY, '-keyout', key, '-out', file, '-subj', subject)
  return made(file, key)
}

/** Writes PEM text to a file and gives its path. */
export function written(text) {
  const file = fresh('.pem')
  fs.writeFileSync(file, text)
  return file
}
