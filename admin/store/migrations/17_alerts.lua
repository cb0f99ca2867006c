--- moongate.admin.store.migrations.17_alerts — schema version 17: notifications: who is told of what, what was told
--- already, what is still to be delivered, and what came of it.
--
-- `alert_notices` is why nothing is told twice: a notice has one row per policy, certificate, expiry and threshold,
-- and is delivered only by whoever could insert it. `alert_deliveries` is the queue: a row goes when its delivery has
-- succeeded or was given up, with a row of `alert_history` in the same transaction. History outlives its policy.
-- Secrets of webhooks are sealed (admin/secrets.lua).

return { [[
CREATE TABLE alert_webhooks (
  id           TEXT PRIMARY KEY CHECK (length(id) = 36),
  account_id   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  name         TEXT NOT NULL CHECK (length(name) >= 1),
  url          TEXT NOT NULL,
  type         TEXT NOT NULL,
  secret       TEXT,
  created_on   TEXT NOT NULL,
  last_success TEXT,
  last_failure TEXT
)]], [[
CREATE INDEX alert_webhooks_by_age ON alert_webhooks (account_id, created_on DESC, id)]], [[
CREATE TABLE alert_policies (
  id             TEXT PRIMARY KEY CHECK (length(id) = 36),
  account_id     TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  name           TEXT NOT NULL CHECK (length(name) >= 1),
  description    TEXT NOT NULL,
  alert_type     TEXT NOT NULL,
  alert_interval TEXT,
  enabled        INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  filters        TEXT NOT NULL,
  created_on     TEXT NOT NULL,
  modified_on    TEXT NOT NULL
)]], [[
CREATE INDEX alert_policies_by_age ON alert_policies (account_id, created_on DESC, id)]], [[
CREATE INDEX alert_policies_by_type ON alert_policies (alert_type, enabled)]], [[
CREATE TABLE alert_mechanisms (
  policy_id  TEXT NOT NULL REFERENCES alert_policies (id) ON DELETE CASCADE,
  position   INTEGER NOT NULL CHECK (position >= 1),
  kind       TEXT NOT NULL CHECK (kind IN ('email', 'webhook')),
  email      TEXT,
  webhook_id TEXT REFERENCES alert_webhooks (id),
  PRIMARY KEY (policy_id, position),
  CHECK ((kind = 'email') = (email IS NOT NULL) AND (kind = 'webhook') = (webhook_id IS NOT NULL))
)]], [[
CREATE INDEX alert_mechanisms_by_webhook ON alert_mechanisms (webhook_id)]], [[
CREATE TRIGGER alert_mechanisms_stay_in_the_account BEFORE INSERT ON alert_mechanisms WHEN NEW.webhook_id IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'in_use:not_a_webhook_of_the_account')
   WHERE NOT EXISTS (SELECT 1 FROM alert_webhooks w JOIN alert_policies p ON p.account_id = w.account_id
                      WHERE w.id = NEW.webhook_id AND p.id = NEW.policy_id);
END]], [[
CREATE TRIGGER alert_webhooks_in_use BEFORE DELETE ON alert_webhooks
  WHEN EXISTS (SELECT 1 FROM accounts WHERE id = OLD.account_id)
BEGIN
  SELECT RAISE(ABORT, 'in_use:alert_webhooks')
   WHERE EXISTS (SELECT 1 FROM alert_mechanisms WHERE webhook_id = OLD.id);
END]], [[
CREATE TABLE alert_notices (
  policy_id      TEXT NOT NULL REFERENCES alert_policies (id) ON DELETE CASCADE,
  certificate_id TEXT NOT NULL,
  expires_on     TEXT NOT NULL,
  days           INTEGER NOT NULL CHECK (days >= 1),
  created_on     TEXT NOT NULL,
  PRIMARY KEY (policy_id, certificate_id, expires_on, days)
)]], [[
CREATE INDEX alert_notices_by_expiry ON alert_notices (expires_on)]], [[
CREATE TABLE alert_deliveries (
  id           TEXT PRIMARY KEY CHECK (length(id) = 36),
  policy_id    TEXT NOT NULL REFERENCES alert_policies (id) ON DELETE CASCADE,
  kind         TEXT NOT NULL CHECK (kind IN ('email', 'webhook')),
  target       TEXT NOT NULL,
  body         TEXT NOT NULL,
  attempts     INTEGER NOT NULL CHECK (attempts >= 0),
  due_on       TEXT NOT NULL,
  created_on   TEXT NOT NULL
)]], [[
CREATE INDEX alert_deliveries_by_time ON alert_deliveries (due_on)]], [[
CREATE INDEX alert_deliveries_by_policy ON alert_deliveries (policy_id)]], [[
CREATE TABLE alert_history (
  id             TEXT PRIMARY KEY CHECK (length(id) = 36),
  account_id     TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  policy_id      TEXT NOT NULL,
  name           TEXT NOT NULL,
  description    TEXT NOT NULL,
  alert_type     TEXT NOT NULL,
  alert_body     TEXT NOT NULL,
  mechanism      TEXT NOT NULL,
  mechanism_type TEXT NOT NULL CHECK (mechanism_type IN ('email', 'webhook')),
  failure        TEXT,
  sent           TEXT NOT NULL
)]], [[
CREATE INDEX alert_history_by_time ON alert_history (account_id, sent DESC, id)]], [[
CREATE INDEX alert_history_by_age ON alert_history (sent)]], [[
INSERT INTO quotas (name, value) VALUES ('alert_policies', 100), ('alert_webhooks', 100)]], [[
CREATE TRIGGER alert_policies_quota BEFORE INSERT ON alert_policies
BEGIN
  SELECT RAISE(ABORT, 'quota:alert_policies')
   WHERE (SELECT count(*) FROM alert_policies WHERE account_id = NEW.account_id)
      >= (SELECT value FROM quotas WHERE name = 'alert_policies');
END]], [[
CREATE TRIGGER alert_webhooks_quota BEFORE INSERT ON alert_webhooks
BEGIN
  SELECT RAISE(ABORT, 'quota:alert_webhooks')
   WHERE (SELECT count(*) FROM alert_webhooks WHERE account_id = NEW.account_id)
      >= (SELECT value FROM quotas WHERE name = 'alert_webhooks');
END]] }
