// Cases and their results, for the programs of spec/clients. A program is a walk: its cases run one after the other on one
// gateway, and a later one may use what an earlier one made. run.mjs imports the programs and calls `run`.
//
// Nothing here knows the gateway. A case that cannot run here says why with `pending`; it never passes silently.

import { inspect } from 'node:util'

const CASE_MS = 60000 // unless the case says otherwise

const walks = []

/** Declares a walk: `begin` gives the context of its cases, `end` takes it down whatever happened. */
export function walk(title, { begin, end }, declare) {
  const cases = []
  declare((name, work, milliseconds = CASE_MS) => cases.push({ name, work, milliseconds }))
  walks.push({ title, begin, end, cases })
}

class Pending extends Error {}

/** Ends the case: it cannot run here, for this reason. */
export function pending(reason) {
  throw new Pending(reason)
}

function within(milliseconds, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${milliseconds / 1000} s`)), milliseconds)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

function told(error) {
  const text = error instanceof Error ? error.stack ?? error.message : inspect(error)
  return text.split('\n').filter((line) => !line.includes('node_modules') && !line.includes('node:internal')).join('\n      ')
}

async function run_walk(one, totals) {
  const started = process.hrtime.bigint()
  const failures = []
  let context
  let count = 0
  try {
    context = await within(CASE_MS, Promise.resolve().then(one.begin))
  } catch (error) {
    totals.failed += 1
    console.log(`\nFAILED  ${one.title}: it cannot begin\n      ${told(error)}`)
    return
  }
  for (const { name, work, milliseconds } of one.cases) {
    try {
      await within(milliseconds, Promise.resolve().then(() => work(context)))
      totals.passed += 1
      count += 1
    } catch (error) {
      if (error instanceof Pending) {
        totals.pending += 1
        console.log(`\npending  ${one.title}: ${name}: ${error.message}`)
        continue
      }
      totals.failed += 1
      count += 1
      failures.push(`\nFAILED  ${one.title}: ${name}\n      ${told(error)}`)
    }
  }
  try {
    await within(CASE_MS, Promise.resolve().then(() => one.end?.(context, failures.length > 0)))
  } catch (error) {
    totals.failed += 1
    failures.push(`\nFAILED  ${one.title}: its end\n      ${told(error)}`)
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  const result = failures.length > 0 ? `${failures.length} of ${count} FAILED` : `${count}`
  console.log(`${one.title.padEnd(52)} ${result}  (${seconds.toFixed(1)} s)`)
  for (const failure of failures) console.log(failure)
}

/** Runs what was declared so far; gives { passed, failed, pending }. */
export async function run() {
  const totals = { passed: 0, failed: 0, pending: 0 }
  for (const one of walks.splice(0)) await run_walk(one, totals)
  return totals
}
