// Loaded into wrangler (--require): what its libraries take from Node 20 and Node 18 has elsewhere, or not yet.

globalThis.File ??= require('node:buffer').File

const LONE_SURROGATES = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g

String.prototype.toWellFormed ??= function () {
  return this.replace(LONE_SURROGATES, '\uFFFD')
}
String.prototype.isWellFormed ??= function () {
  return this.search(LONE_SURROGATES) < 0
}
Array.prototype.toSorted ??= function (compare) {
  return [...this].sort(compare)
}
Array.prototype.toReversed ??= function () {
  return [...this].reverse()
}
