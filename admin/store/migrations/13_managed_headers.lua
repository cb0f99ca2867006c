--- moongate.admin.store.migrations.13_managed_headers — header fields that a zone has switched on.

return { [[
CREATE TABLE managed_headers (
  zone_id TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  id      TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
  PRIMARY KEY (zone_id, id)
)]] }
