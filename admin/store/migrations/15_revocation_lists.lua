--- moongate.admin.store.migrations.15_revocation_lists — one revocation list for each uploaded CA, as it was uploaded or as
--- it came from its address.
--
-- The list is base64 of its DER, in one line; `authority` is the SHA-256 of the CA of the bundle that issued it.

return { [[
CREATE TABLE revocation_lists (
  certificate_id  TEXT PRIMARY KEY REFERENCES mtls_certificates (id) ON DELETE CASCADE,
  list            TEXT NOT NULL,
  digest          TEXT NOT NULL CHECK (length(digest) = 64),
  authority       TEXT NOT NULL CHECK (length(authority) = 64),
  issuer          TEXT NOT NULL,
  entries         INTEGER NOT NULL CHECK (entries >= 0),
  this_update     TEXT NOT NULL,
  next_update     TEXT,
  soft            INTEGER NOT NULL CHECK (soft IN (0, 1)),
  url             TEXT,
  refresh_minutes INTEGER CHECK ((refresh_minutes IS NULL) = (url IS NULL)),
  next_refresh    TEXT CHECK ((next_refresh IS NULL) = (url IS NULL)),
  last_refresh    TEXT,
  last_error      TEXT,
  warned          INTEGER NOT NULL DEFAULT 0 CHECK (warned IN (0, 1, 2)),
  created_on      TEXT NOT NULL,
  modified_on     TEXT NOT NULL
)]], [[
CREATE INDEX revocation_lists_due ON revocation_lists (next_refresh) WHERE url IS NOT NULL]] }
