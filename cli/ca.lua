--- moongate.cli.ca — the commands `ca list`, `ca upload`, `ca show` and `ca delete`: the CAs that clients are verified
--- against.

local session_of = require "moongate.cli.session"

local M = {}

local HEADINGS = { "NAME", "ID", "ISSUER", "EXPIRES", "UPLOADED" }

---@param parser table of argparse
---@param with_help fun(parser: table): table
function M.declare(parser, with_help)
  local ca = with_help(parser:command("ca", "The CAs that clients are verified against."))
  ca:command_target "ca_command"
  session_of.declare(with_help(ca:command("list", "List the CAs of the account.")))
  local upload = with_help(ca:command("upload",
    "Upload a CA: one or more certificates in PEM, all of them trust anchors."))
  upload:argument("file", "The certificates; - is standard input."):argname "FILE"
  upload:option("-n --name", "Its name, by which other commands know it."):argname "NAME"
  session_of.declare(upload)
  upload:epilog "Example:\n  moongate ca upload partners.pem --name partners"
  local show = with_help(ca:command("show", "Show one CA, with its certificates and where it is used."))
  show:argument("ca", "Name or id."):argname "CA"
  session_of.declare(show)
  local delete = with_help(ca:command("delete", "Delete a CA; refused while hostnames are associated with it."))
  delete:argument("ca", "Name or id."):argname "CA"
  session_of.declare(delete, { destructive = true })
end

local COMMANDS = {}

function COMMANDS.list(_, session)
  local path, failure = session:account_path "/mtls_certificates"
  if not path then return nil, failure end
  local list
  list, failure = session.api:list(path, { ca = true })
  if not list then return nil, failure end
  return session:print_list(list, HEADINGS, function(ca)
    return { ca.name, ca.id, ca.issuer, ca.expires_on, ca.uploaded_on }
  end)
end

function COMMANDS.upload(args, session)
  local text, failure = session:read_file(args.file)
  if not text then return nil, failure end
  if text:find("PRIVATE KEY%-%-%-%-%-") then
    return session_of.fail(("%s holds a private key; a CA is uploaded without its key"):format(args.file))
  end
  local path
  path, failure = session:account_path "/mtls_certificates"
  if not path then return nil, failure end
  local made
  made, failure = session.api:ask("POST", path, { ca = true, certificates = text, name = args.name })
  if not made then return nil, failure end
  return session:print_done(made, ("uploaded %s (%s), which expires on %s"):format(args.name or "the CA", made.id,
    made.expires_on))
end

function COMMANDS.show(args, session)
  local ca, failure = session:certificate(args.ca, true)
  if not ca then return nil, failure end
  session:print_one(ca, {
    { "name", ca.name }, { "id", ca.id }, { "issuer", ca.issuer }, { "serial", ca.serial_number },
    { "signature", ca.signature }, { "uploaded", ca.uploaded_on }, { "expires", ca.expires_on },
  })
  if args.output ~= "json" then session.host.stdout:write((ca.certificates:gsub("[%z\1-\9\11-\31\127]", "")), "\n") end
  return 0
end

function COMMANDS.delete(args, session)
  local ca, failure = session:certificate(args.ca, true)
  if not ca then return nil, failure end
  local ok
  ok, failure = session:confirm(("delete the CA %s"):format(args.ca))
  if not ok then return nil, failure end
  local path = session:account_path("/mtls_certificates/" .. ca.id)
  local gone
  gone, failure = session.api:ask("DELETE", path)
  if not gone then return nil, failure end
  return session:print_done(gone, ("deleted the CA %s"):format(args.ca))
end

---@param args table as parsed by moongate.cli
---@param session table moongate.cli.session
---@return integer|nil exit code
---@return table|nil failure
function M.run(args, session)
  return COMMANDS[args.ca_command](args, session)
end

return M
