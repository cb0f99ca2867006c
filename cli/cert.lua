--- moongate.cli.cert — the commands `cert list`, `upload` and `delete` for server certificates, and `cert issue`, `issued`,
--- `revoke` and `restore` for the client certificates that the account's managed CA signs.
--
-- A client's private key is never seen here: `issue` takes a signing request. A server certificate's key is read from a
-- file and goes to the gateway, nowhere else.

local session_of = require "moongate.cli.session"

local M = {}

local DAYS = 365

local function declare_server(cert, with_help)
  local list = with_help(cert:command("list", "List the server certificates of a zone."))
  session_of.declare_zone(list)
  session_of.declare(list)
  local upload = with_help(cert:command("upload",
    "Upload a server certificate; it is served at once for the names it covers."))
  upload:argument("certificate", "The certificate in PEM, followed by its chain."):argname "CERTIFICATE"
  upload:argument("key", "Its private key in PEM."):argname "KEY"
  upload:option("--replace", "Id of the certificate that it takes the place of."):argname "ID"
  upload:option("--bundle-method", "ubiquitous, optimal or force."):argname "METHOD":target "bundle_method"
  session_of.declare_zone(upload)
  session_of.declare(upload)
  upload:epilog "Example:\n  moongate cert upload --zone example.com fullchain.pem privkey.pem"
  local delete = with_help(cert:command("delete", "Delete a server certificate."))
  delete:argument("id", "Its id."):argname "ID"
  session_of.declare_zone(delete)
  session_of.declare(delete, { destructive = true })
end

local function declare_client(cert, with_help)
  local issue = with_help(cert:command("issue",
    "Have a client certificate signed by the account's managed CA, and print it."))
  issue:option("--csr", "The signing request in PEM; - is standard input."):argname "FILE":count(1)
  issue:option("--days", "For how long it is valid."):argname "DAYS":default(tostring(DAYS))
  session_of.declare_zone(issue)
  session_of.declare(issue)
  issue:epilog("Example:\n  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout me.key \\\n"
    .. "    -out me.csr -subj /CN=me\n"
    .. "  moongate cert issue --zone example.com --csr me.csr > me.pem")
  local issued = with_help(cert:command("issued", "List the client certificates that were issued through a zone."))
  issued:option("--status", "active, revoked or all."):argname "STATUS"
    :choices { "active", "revoked", "all" }:default "all"
  session_of.declare_zone(issued)
  session_of.declare(issued)
  for _, one in ipairs { { "revoke", "Revoke a client certificate." }, { "restore", "Take a revocation back." } } do
    local command = with_help(cert:command(one[1], one[2]))
    command:argument("id", "Its id."):argname "ID"
    session_of.declare_zone(command)
    session_of.declare(command, { destructive = one[1] == "revoke" })
  end
end

---@param parser table of argparse
---@param with_help fun(parser: table): table
function M.declare(parser, with_help)
  local cert = with_help(parser:command("cert", "Server certificates, and client certificates of the managed CA."))
  cert:command_target "cert_command"
  declare_server(cert, with_help)
  declare_client(cert, with_help)
end

-- ---- server certificates ----

local COMMANDS = {}

-- The path of a collection of the zone.
local function path_of(args, session, rest)
  local zone, failure = session:zone(args.zone)
  if not zone then return nil, failure end
  return "/zones/" .. zone.id .. rest
end

function COMMANDS.list(args, session)
  local path, failure = path_of(args, session, "/custom_certificates")
  if not path then return nil, failure end
  local list
  list, failure = session.api:list(path)
  if not list then return nil, failure end
  return session:print_list(list, { "ID", "HOSTS", "STATUS", "EXPIRES", "ISSUER" }, function(one)
    return { one.id, one.hosts, one.status, one.expires_on, one.issuer }
  end)
end

function COMMANDS.upload(args, session)
  local certificate, key, path, failure, made
  certificate, failure = session:read_file(args.certificate)
  if not certificate then return nil, failure end
  key, failure = session:read_file(args.key)
  if not key then return nil, failure end
  path, failure = path_of(args, session, "/custom_certificates")
  if not path then return nil, failure end
  local body = { certificate = certificate, private_key = key, bundle_method = args.bundle_method }
  if args.replace then
    made, failure = session.api:ask("PATCH", path .. "/" .. session.escape(args.replace), body)
  else
    made, failure = session.api:ask("POST", path, body)
  end
  if not made then return nil, failure end
  return session:print_done(made, ("uploaded %s for %s, which expires on %s"):format(made.id,
    table.concat(made.hosts, ", "), made.expires_on))
end

COMMANDS["delete"] = function(args, session)
  local path, failure = path_of(args, session, "/custom_certificates/" .. session.escape(args.id))
  if not path then return nil, failure end
  local ok
  ok, failure = session:confirm("delete the server certificate " .. args.id)
  if not ok then return nil, failure end
  local gone
  gone, failure = session.api:ask("DELETE", path)
  if not gone then return nil, failure end
  return session:print_done(gone, "deleted the server certificate " .. args.id)
end

-- ---- client certificates ----

function COMMANDS.issue(args, session)
  local days = tonumber(args.days)
  if not days then return session_of.usage(("--days must be a number, not \"%s\""):format(args.days)) end
  local csr, failure = session:read_file(args.csr)
  if not csr then return nil, failure end
  if csr:find("PRIVATE KEY%-%-%-%-%-") then
    return session_of.fail(("%s holds a private key; only the signing request is sent"):format(args.csr))
  end
  local path
  path, failure = path_of(args, session, "/client_certificates")
  if not path then return nil, failure end
  local made
  made, failure = session.api:ask("POST", path, { csr = csr, validity_days = days })
  if not made then return nil, failure end
  if args.output == "json" then return session:print_done(made) end
  session.host.note(("issued %s, which expires on %s"):format(made.id, made.expires_on))
  session.host.stdout:write(made.certificate, made.certificate:find("\n$") and "" or "\n")
  return 0
end

function COMMANDS.issued(args, session)
  local path, failure = path_of(args, session, "/client_certificates")
  if not path then return nil, failure end
  local list
  list, failure = session.api:list(path, { status = args.status })
  if not list then return nil, failure end
  return session:print_list(list, { "ID", "NAME", "STATUS", "SERIAL", "EXPIRES" }, function(one)
    return { one.id, one.common_name, one.status, one.serial_number, one.expires_on }
  end)
end

function COMMANDS.revoke(args, session)
  local path, failure = path_of(args, session, "/client_certificates/" .. session.escape(args.id))
  if not path then return nil, failure end
  local ok
  ok, failure = session:confirm("revoke the client certificate " .. args.id)
  if not ok then return nil, failure end
  local result
  result, failure = session.api:ask("DELETE", path)
  if not result then return nil, failure end
  return session:print_done(result, "revoked the client certificate " .. args.id)
end

function COMMANDS.restore(args, session)
  local path, failure = path_of(args, session, "/client_certificates/" .. session.escape(args.id))
  if not path then return nil, failure end
  local result
  result, failure = session.api:ask("PATCH", path, { reactivate = true })
  if not result then return nil, failure end
  return session:print_done(result, "restored the client certificate " .. args.id)
end

---@param args table as parsed by moongate.cli
---@param session table moongate.cli.session
---@return integer|nil exit code
---@return table|nil failure
function M.run(args, session)
  return COMMANDS[args.cert_command](args, session)
end

return M
