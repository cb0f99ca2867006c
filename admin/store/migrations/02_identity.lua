--- moongate.admin.store.migrations.02_identity — the user, conditions and quotas of tokens, and an audit log with
--- owners.
--
-- The audit log is made anew with its rows kept, because what it learns about a row (account, zone, result) stands in
-- columns that may not be added one by one without defaults that lie. Rows from before get their account from the
-- path they name.

return { [[
CREATE TABLE users (
  id          TEXT PRIMARY KEY CHECK (length(id) = 32),
  email       TEXT NOT NULL UNIQUE CHECK (length(email) BETWEEN 3 AND 90),
  first_name  TEXT CHECK (length(first_name) <= 60),
  last_name   TEXT CHECK (length(last_name) <= 60),
  telephone   TEXT CHECK (length(telephone) <= 20),
  country     TEXT CHECK (length(country) <= 30),
  zipcode     TEXT CHECK (length(zipcode) <= 20),
  key_hash    TEXT UNIQUE CHECK (length(key_hash) = 64),
  created_on  TEXT NOT NULL,
  modified_on TEXT NOT NULL
)]], [[
ALTER TABLE tokens ADD COLUMN condition TEXT]], [[
ALTER TABLE tokens ADD COLUMN made_by TEXT NOT NULL DEFAULT 'operator' CHECK (made_by IN ('operator', 'api'))]], [[
CREATE INDEX tokens_by_owner ON tokens (COALESCE(account_id, ''), issued_on, id)]], [[
INSERT INTO quotas (name, value) VALUES ('user_tokens', 50), ('account_tokens', 500)]], [[
CREATE TRIGGER tokens_quota_of_a_user BEFORE INSERT ON tokens
  WHEN NEW.made_by = 'api' AND NEW.account_id IS NULL
BEGIN
  SELECT RAISE(ABORT, 'quota:user_tokens')
   WHERE (SELECT count(*) FROM tokens WHERE COALESCE(account_id, '') = '' AND made_by = 'api')
      >= (SELECT value FROM quotas WHERE name = 'user_tokens');
END]], [[
CREATE TRIGGER tokens_quota_of_an_account BEFORE INSERT ON tokens
  WHEN NEW.made_by = 'api' AND NEW.account_id IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'quota:account_tokens')
   WHERE (SELECT count(*) FROM tokens WHERE COALESCE(account_id, '') = NEW.account_id AND made_by = 'api')
      >= (SELECT value FROM quotas WHERE name = 'account_tokens');
END]], [[
CREATE TABLE audit_with_owners (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  uid           TEXT NOT NULL UNIQUE CHECK (length(uid) = 36),
  at            TEXT NOT NULL,
  account_id    TEXT,
  zone_id       TEXT,
  zone_name     TEXT,
  user_id       TEXT,
  email         TEXT,
  token_id      TEXT,
  token_name    TEXT,
  address       TEXT NOT NULL,
  ray           TEXT NOT NULL,
  interface     TEXT NOT NULL CHECK (interface IN ('API', 'CLI')),
  verb          TEXT NOT NULL,
  action        TEXT NOT NULL,
  object        TEXT NOT NULL,
  resource_type TEXT NOT NULL,
  resource_id   TEXT NOT NULL,
  result        INTEGER NOT NULL CHECK (result IN (0, 1)),
  code          INTEGER,
  generation    INTEGER NOT NULL
)]], [[
INSERT INTO audit_with_owners (id, uid, at, account_id, token_id, address, ray, interface, verb, action, object,
    resource_type, resource_id, result, generation)
SELECT id, lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8'
         || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
       at,
       CASE WHEN substr(object, 1, 20) = '/client/v4/accounts/' THEN substr(object, 21, 32)
            WHEN substr(object, 1, 17) = '/client/v4/zones/'
            THEN (SELECT account_id FROM zones z WHERE z.id = substr(object, 18, 32))
       END,
       token_id, address, ray, 'API',
       CASE substr(action, 1, instr(action, ' ') - 1)
         WHEN 'POST' THEN 'create' WHEN 'DELETE' THEN 'delete' ELSE 'update' END,
       action, object, '', '', 1, generation
  FROM audit]], [[
DROP TABLE audit]], [[
ALTER TABLE audit_with_owners RENAME TO audit]], [[
CREATE INDEX audit_by_account ON audit (COALESCE(account_id, ''), id)]], [[
CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END]], [[
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit WHEN OLD.id > (SELECT max(id) FROM audit) - 1000000
BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END]], [[
CREATE TRIGGER audit_keeps_the_last_million AFTER INSERT ON audit
BEGIN
  DELETE FROM audit WHERE id <= NEW.id - 1000000;
END]] }
