--- moongate.admin.store.migrations.09_hostname_options — what is set for the clients of a hostname or of a wildcard.

return { [[
CREATE TABLE hostname_options (
  zone_id            TEXT NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
  hostname           TEXT NOT NULL CHECK (length(hostname) BETWEEN 1 AND 253),
  usage              TEXT NOT NULL CHECK (usage IN ('require', 'warn', 'ignore')),
  resumption         INTEGER NOT NULL CHECK (resumption IN (0, 1)),
  forward_cloudflare INTEGER NOT NULL CHECK (forward_cloudflare IN (0, 1)),
  forward_fields     INTEGER NOT NULL CHECK (forward_fields IN (0, 1)),
  forward_rfc9440    INTEGER NOT NULL CHECK (forward_rfc9440 IN (0, 1)),
  forward_xfcc       INTEGER NOT NULL CHECK (forward_xfcc IN (0, 1)),
  strict_sni         INTEGER NOT NULL CHECK (strict_sni IN (0, 1)),
  created_on         TEXT NOT NULL,
  modified_on        TEXT NOT NULL,
  PRIMARY KEY (zone_id, hostname)
)]] }
