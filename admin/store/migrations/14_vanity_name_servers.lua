--- moongate.admin.store.migrations.14_vanity_name_servers — the names that a zone wants for its name servers, as JSON.

return { [[
ALTER TABLE zones ADD COLUMN vanity_name_servers TEXT NOT NULL DEFAULT '[]']] }
