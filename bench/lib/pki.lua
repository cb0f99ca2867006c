-- pki.lua — the keys and certificates of a benchmark: a server certificate for the peers (ours makes its own), a
-- client CA and client certificates, all ECDSA P-256. Made once per work directory with the openssl command and kept.

local process = require "process"

local M = {}

local CLIENTS = 32
local HOSTS = { "api.example.com", "www.example.com" }

local function exists(path) return process.read(path) ~= "" end

local function make_ca(dir, name)
  process.output(("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 365 "
    .. "-subj '/O=Bench/CN=%s' -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign "
    .. "-keyout %s.key -out %s.pem 2>&1"):format(process.quote(dir), name, name, name))
end

local function make_leaf(dir, name, ca, extensions)
  process.write(dir .. "/extensions", extensions)
  process.output(("cd %s && openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 "
    .. "-subj '/O=Bench/CN=%s' -keyout %s.key -out request 2>&1 && "
    .. "openssl x509 -req -in request -CA %s.pem -CAkey %s.key "
    .. "-CAcreateserial -days 365 -sha256 -extfile extensions -out %s.crt 2>&1")
    :format(process.quote(dir), name, name, ca, ca, name))
  process.write(("%s/%s.pem"):format(dir, name), process.read(("%s/%s.crt"):format(dir, name))
    .. process.read(("%s/%s.key"):format(dir, name)))
end

--- Makes what is missing.
---@param dir string
---@return { dir: string, ca: string, server: string, clients: string[] } paths; all but the CA with their keys
function M.make(dir)
  process.output("mkdir -p " .. process.quote(dir))
  local pki = { dir = dir, ca = dir .. "/clients.pem", server = dir .. "/server.pem", clients = {} }
  for number = 1, CLIENTS do pki.clients[number] = ("%s/client-%d.pem"):format(dir, number) end
  if exists(pki.clients[CLIENTS]) then return pki end
  make_ca(dir, "clients")
  make_ca(dir, "servers")
  make_leaf(dir, "server", "servers", "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
    .. "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:" .. table.concat(HOSTS, ",DNS:") .. "\n")
  for number = 1, CLIENTS do
    make_leaf(dir, "client-" .. number, "clients",
      "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n")
  end
  return pki
end

return M
