// What the walks expect of the official SDK's answers. Only assertions; no gateway, no certificates.

import assert from 'node:assert/strict'

import Cloudflare from 'cloudflare'

const CLASSES = {
  400: Cloudflare.BadRequestError, 401: Cloudflare.AuthenticationError, 403: Cloudflare.PermissionDeniedError,
  404: Cloudflare.NotFoundError, 409: Cloudflare.ConflictError, 422: Cloudflare.UnprocessableEntityError,
  429: Cloudflare.RateLimitError,
}

/** The call is refused with this status (and so with the SDK's class for it), and with this code unless it is left out. */
export async function refused(promise, status, code, pattern) {
  let answer
  try {
    answer = await promise
  } catch (error) {
    assert.ok(error instanceof Cloudflare.APIError, `not an error of the API: ${error.stack}`)
    assert.equal(error.status, status, error.message)
    if (CLASSES[status]) assert.ok(error instanceof CLASSES[status], `class ${error.constructor.name} for ${status}`)
    assert.ok(Array.isArray(error.errors) && error.errors.length > 0, 'no list of errors')
    if (code !== undefined) assert.equal(error.errors[0].code, code, error.message)
    if (pattern) assert.match(error.errors[0].message, pattern)
    return error
  }
  assert.fail(`accepted with ${JSON.stringify(answer)}`)
}

/** Everything that `for await` gives; more than `most` is a list without an end. */
export async function all(list, most = 500) {
  const items = []
  for await (const item of list) {
    items.push(item)
    assert.ok(items.length <= most, `more than ${most} items: the list does not end`)
  }
  return items
}

export const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/
export const HEX = /^[0-9a-f]{32}$/
export const MICROS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
export const SECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

/** An id that is well formed and nobody's. */
export const NO_UUID = '00000000-0000-4000-8000-000000000000'
export const NO_HEX = '0'.repeat(32)
