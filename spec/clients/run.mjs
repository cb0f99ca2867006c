// Runs the walks of spec/clients: all, or those whose file names are given. Called by spec/run, which adds up its last line.

import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

import { run } from './support/cases.mjs'
import { unwalked } from './support/routes.mjs'

const here = path.dirname(new URL(import.meta.url).pathname)

function programs() {
  const named = process.argv.slice(2)
  if (named.length > 0) return named.map((name) => path.resolve(name))
  return ['sdk', '.'].flatMap((folder) => fs.readdirSync(path.join(here, folder)).sort()
    .filter((name) => name.endsWith('.mjs') && name !== 'run.mjs').map((name) => path.join(here, folder, name)))
}

// A promise that nobody waited for is a mistake of the walk: it counts, and the others go on.
let strays = 0
process.on('unhandledRejection', (error) => {
  strays += 1
  console.log(`\nFAILED  nobody waited for this: ${error?.stack ?? error}`)
})

const totals = { passed: 0, failed: 0, pending: 0 }
for (const file of programs()) {
  await import(pathToFileURL(file))
  for (const [name, count] of Object.entries(await run())) totals[name] += count
}
if (process.argv.length === 2) {
  const missing = unwalked()
  if (missing.length > 0) {
    totals.pending += 1
    console.log(`\npending  no client has used these routes: ${missing.join(', ')}`)
  }
}
totals.failed += strays
console.log(`clients: ${totals.passed} passed, ${totals.failed} failed, ${totals.pending} pending`)
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0)
