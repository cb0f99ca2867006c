--- moongate.admin.store.migrations.10_settings — settings of zones and of their hostnames: what was changed, as JSON.
--
-- What is not here has its default (moongate.admin.setting).

return { [[
CREATE TABLE zone_settings (
  zone_id     TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  id          TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
  value       TEXT NOT NULL,
  modified_on TEXT NOT NULL,
  PRIMARY KEY (zone_id, id)
)]], [[
CREATE TABLE hostname_settings (
  zone_id    TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  setting    TEXT NOT NULL CHECK (length(setting) BETWEEN 1 AND 64),
  hostname   TEXT NOT NULL CHECK (length(hostname) BETWEEN 1 AND 253),
  value      TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (zone_id, setting, hostname)
)]], [[
CREATE INDEX hostname_settings_by_hostname ON hostname_settings (zone_id, hostname)]] }
