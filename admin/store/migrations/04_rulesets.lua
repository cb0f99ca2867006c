--- moongate.admin.store.migrations.04_rulesets — earlier versions of rulesets, lists with their items, filters and
--- firewall rules, and who uses whom.
--
-- What is used cannot be deleted: the references of ruleset_uses, filter_lists and firewall_rules have no action of
-- their own, so that SQLite looks at them when a statement ends, and a zone or an account goes with all of its own.
-- `served` is what the workers get of an item, a list's is that of its items in one text. The count
-- of a list's items is kept beside it, where a constraint can see it.

return { [[
CREATE TABLE ruleset_versions (
  ruleset_id   TEXT NOT NULL REFERENCES rulesets (id) ON DELETE CASCADE,
  version      INTEGER NOT NULL CHECK (version >= 1),
  description  TEXT NOT NULL,
  rules        TEXT NOT NULL,
  last_updated TEXT NOT NULL,
  PRIMARY KEY (ruleset_id, version)
)]], [[
CREATE TRIGGER ruleset_versions_keep_the_last_hundred AFTER INSERT ON ruleset_versions
BEGIN
  DELETE FROM ruleset_versions WHERE ruleset_id = NEW.ruleset_id AND version <= NEW.version - 100;
END]], [[
CREATE INDEX rulesets_of_a_zone ON rulesets (zone_id, id)]], [[
CREATE INDEX rulesets_of_an_account ON rulesets (account_id, id)]], [[
INSERT INTO quotas (name, value) VALUES ('custom_rulesets', 100), ('lists', 1000), ('filters', 1000),
  ('firewall_rules', 1000)]], [[
CREATE TRIGGER rulesets_quota BEFORE INSERT ON rulesets WHEN NEW.kind = 'custom'
BEGIN
  SELECT RAISE(ABORT, 'quota:custom_rulesets')
   WHERE (SELECT count(*) FROM rulesets WHERE kind = 'custom' AND phase = NEW.phase
             AND COALESCE(zone_id, '') = COALESCE(NEW.zone_id, '')
             AND COALESCE(account_id, '') = COALESCE(NEW.account_id, ''))
      >= (SELECT value FROM quotas WHERE name = 'custom_rulesets');
END]], [[
CREATE TABLE lists (
  id          TEXT PRIMARY KEY CHECK (length(id) = 32),
  account_id  TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  name        TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 50),
  kind        TEXT NOT NULL CHECK (kind IN ('ip', 'redirect', 'hostname', 'asn')),
  description TEXT NOT NULL DEFAULT '' CHECK (length(description) <= 500),
  num_items   INTEGER NOT NULL DEFAULT 0 CONSTRAINT list_is_full CHECK (num_items BETWEEN 0 AND 1000000),
  served      TEXT NOT NULL DEFAULT '',
  created_on  TEXT NOT NULL,
  modified_on TEXT NOT NULL,
  UNIQUE (account_id, name)
)]], [[
CREATE TRIGGER lists_quota BEFORE INSERT ON lists
BEGIN
  SELECT RAISE(ABORT, 'quota:lists')
   WHERE (SELECT count(*) FROM lists WHERE account_id = NEW.account_id)
      >= (SELECT value FROM quotas WHERE name = 'lists');
END]], [[
CREATE TABLE list_items (
  id          TEXT PRIMARY KEY CHECK (length(id) = 32),
  list_id     TEXT NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
  sorts_as    TEXT NOT NULL,
  value       TEXT NOT NULL,
  served      TEXT NOT NULL,
  comment     TEXT CHECK (length(comment) <= 500),
  created_on  TEXT NOT NULL,
  modified_on TEXT NOT NULL,
  UNIQUE (list_id, sorts_as)
)]], [[
CREATE TABLE bulk_operations (
  number     INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
  account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  completed  TEXT NOT NULL
)]], [[
CREATE INDEX bulk_operations_by_account ON bulk_operations (account_id)]], [[
CREATE TRIGGER bulk_operations_keep_the_last_thousands AFTER INSERT ON bulk_operations
BEGIN
  DELETE FROM bulk_operations WHERE number <= NEW.number - 10000;
END]], [[
CREATE TABLE ruleset_uses (
  ruleset_id  TEXT NOT NULL REFERENCES rulesets (id) ON DELETE CASCADE,
  list_id     TEXT REFERENCES lists (id),
  executed_id TEXT REFERENCES rulesets (id),
  rules       INTEGER NOT NULL CHECK (rules >= 1),
  CHECK ((list_id IS NULL) <> (executed_id IS NULL)),
  UNIQUE (ruleset_id, list_id),
  UNIQUE (ruleset_id, executed_id)
)]], [[
CREATE INDEX ruleset_uses_by_list ON ruleset_uses (list_id)]], [[
CREATE INDEX ruleset_uses_by_executed ON ruleset_uses (executed_id)]], [[
CREATE TABLE filters (
  number      INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
  zone_id     TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  expression  TEXT NOT NULL,
  paused      INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  description TEXT NOT NULL DEFAULT '' CHECK (length(description) <= 500),
  ref         TEXT NOT NULL DEFAULT '' CHECK (length(ref) <= 50)
)]], [[
CREATE INDEX filters_of_a_zone ON filters (zone_id, number)]], [[
CREATE TRIGGER filters_quota BEFORE INSERT ON filters
BEGIN
  SELECT RAISE(ABORT, 'quota:filters')
   WHERE (SELECT count(*) FROM filters WHERE zone_id = NEW.zone_id)
      >= (SELECT value FROM quotas WHERE name = 'filters');
END]], [[
CREATE TABLE filter_lists (
  filter_id TEXT NOT NULL REFERENCES filters (id) ON DELETE CASCADE,
  list_id   TEXT NOT NULL REFERENCES lists (id),
  PRIMARY KEY (filter_id, list_id)
)]], [[
CREATE INDEX filter_lists_by_list ON filter_lists (list_id)]], [[
CREATE TABLE firewall_rules (
  number      INTEGER PRIMARY KEY AUTOINCREMENT,
  id          TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
  zone_id     TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  filter_id   TEXT NOT NULL REFERENCES filters (id),
  action      TEXT NOT NULL CHECK (action IN ('allow', 'block', 'bypass', 'challenge', 'js_challenge',
                'managed_challenge', 'log')),
  priority    INTEGER CHECK (priority BETWEEN 1 AND 2147483647),
  paused      INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  description TEXT NOT NULL DEFAULT '' CHECK (length(description) <= 500),
  products    TEXT,
  ref         TEXT NOT NULL DEFAULT '' CHECK (length(ref) <= 50),
  created_on  TEXT NOT NULL,
  modified_on TEXT NOT NULL
)]], [[
CREATE INDEX firewall_rules_of_a_zone ON firewall_rules (zone_id, number)]], [[
CREATE INDEX firewall_rules_by_filter ON firewall_rules (filter_id)]], [[
CREATE TRIGGER firewall_rules_quota BEFORE INSERT ON firewall_rules
BEGIN
  SELECT RAISE(ABORT, 'quota:firewall_rules')
   WHERE (SELECT count(*) FROM firewall_rules WHERE zone_id = NEW.zone_id)
      >= (SELECT value FROM quotas WHERE name = 'firewall_rules');
END]] }
