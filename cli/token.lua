--- moongate.cli.token — the commands `token create`, `token list`, `token revoke` and `token key`.
--
-- Works on the store's file itself, before the gateway's first run and while it runs: a running gateway looks tokens
-- and keys up in the store at every request. Their text goes to standard output once and is kept nowhere.

local accounts = require "moongate.admin.resources.accounts"
local auth = require "moongate.admin.auth"
local config_file = require "moongate.config"
local json = require "moongate.json"
local permissions = require "moongate.admin.permissions"
local store = require "moongate.admin.store"
local user = require "moongate.admin.resources.user"

local M = {}

local FAILED, USAGE = 1, 2
local EVERYWHERE = {
  account = { ["com.cloudflare.api.account.*"] = "*" },
  zone = { ["com.cloudflare.api.account.zone.*"] = "*" },
  user = { ["com.cloudflare.api.user.*"] = "*" },
}

-- Names of permission groups → policies over everything there is; nil and a reason for a name that nobody knows.
local function policies_of(names)
  if not names[1] then return nil end
  local groups = {}
  for _, name in ipairs(names) do
    local group = permissions.by_name[name]
    if not group then
      local known = {}
      for index, entry in ipairs(permissions.list) do known[index] = entry.name end
      local near = config_file.nearest(name, known)
      local hint = near and ("; did you mean \"%s\"?"):format(near) or ""
      return nil, ("there is no permission group \"%s\"%s"):format(name, hint)
    end
    groups[group.scope] = groups[group.scope] or json.array {}
    table.insert(groups[group.scope], json.object { id = group.id, name = group.name })
  end
  local policies = json.array {}
  for _, scope in ipairs { "account", "zone", "user" } do
    if groups[scope] then
      policies[#policies + 1] = json.object {
        effect = "allow", permission_groups = groups[scope], resources = json.object(EVERYWHERE[scope]),
      }
    end
  end
  return policies
end

local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- `2027-01-31` (the whole day still counts) or RFC 3339 in UTC → the stored form; nil when it is no time.
local function moment_of(text)
  local day, clock = text:match("^(%d%d%d%d%-%d%d%-%d%d)$"), "23:59:59"
  if not day then day, clock = text:match("^(%d%d%d%d%-%d%d%-%d%d)T(%d%d:%d%d:%d%d)Z$") end
  if not day then return nil end
  local year, month, date = day:match("^(%d+)%-(%d+)%-(%d+)$")
  year, month, date = tonumber(year), tonumber(month), tonumber(date)
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  local last = month == 2 and leap and 29 or DAYS[month]
  local hour, minute, second = clock:match("^(%d+):(%d+):(%d+)$")
  if not last or date < 1 or date > last then return nil end
  if tonumber(hour) > 23 or tonumber(minute) > 59 or tonumber(second) > 59 then return nil end
  return day .. "T" .. clock .. "Z"
end

local function complain(host, text)
  host.stderr:write("moongate: ", text, "\n")
end

local function create(args, opened, host)
  local policies, reason = policies_of(args.permission or {})
  if reason then
    complain(host, reason)
    return USAGE
  end
  if #args.name < 1 or #args.name > 120 then
    complain(host, "--name must have 1 to 120 bytes")
    return USAGE
  end
  local expires
  if args.expires then
    expires = moment_of(args.expires)
    if not expires then
      complain(host, ("--expires \"%s\" is no time; write 2027-01-31 or 2027-01-31T12:00:00Z"):format(args.expires))
      return USAGE
    end
  end
  local text
  local ok, failure = opened:write(function(tx)
    accounts.ensure_default(tx, host.control)
    text = auth.issue(tx, host.control, { name = args.name, policies = policies, expires_on = expires })
    return true
  end)
  if not ok then
    complain(host, opened.path .. ": " .. failure.text)
    return FAILED
  end
  host.stdout:write(text, "\n")
  return 0
end

local function may(row)
  if not row.policies then return "everything" end
  local names = {}
  for _, policy in ipairs(json.decode(row.policies) or {}) do
    for _, group in ipairs(policy.permission_groups) do
      local known = permissions.by_id[group.id]
      names[#names + 1] = known and known.name or group.id
    end
  end
  return table.concat(names, ", ")
end

local function list(_, opened, host)
  local rows, failure
  rows, failure = opened:read(function(tx) return auth.list(tx) end)
  if not rows then
    complain(host, opened.path .. ": " .. failure.text)
    return FAILED
  end
  for _, row in ipairs(rows) do
    host.stdout:write(("%s  %s…  %-8s  issued %s  expires %s  last used %s  %s  (%s)\n"):format(row.id, row.prefix,
      row.status, row.issued_on, row.expires_on or "never", row.last_used_on or "never", (row.name:gsub("%c", "?")),
      may(row)))
  end
  return 0
end

local function revoke(args, opened, host)
  local count, failure
  local ok
  ok, failure = opened:write(function(tx)
    count = auth.revoke(tx, args.token, host.control)
    return true
  end)
  if not ok then
    complain(host, opened.path .. ": " .. failure.text)
    return FAILED
  end
  if count == 0 then
    complain(host, ("there is no token with the id or name \"%s\""):format(args.token))
    return FAILED
  end
  host.stderr:write(("moongate: %d token%s revoked\n"):format(count, count == 1 and "" or "s"))
  return 0
end

-- The user's global key, for clients that know nothing else: X-Auth-Email and X-Auth-Key.
local function key(_, opened, host, config)
  local text, email
  local ok, failure = opened:write(function(tx)
    local id = user.ensure(tx, host.control, config.admin and config.admin.email)
    text = auth.issue_global_key(tx, host.control, id)
    email = tx:one("SELECT email FROM users WHERE id = ?", id).email
    return true
  end)
  if not ok then
    complain(host, opened.path .. ": " .. failure.text)
    return FAILED
  end
  host.stdout:write(text, "\n")
  complain(host, "the key of " .. email .. "; the one before, if there was one, stopped working")
  return 0
end

local COMMANDS = { create = create, list = list, revoke = revoke, key = key }

--- Runs one of the token commands.
---@param args table as parsed by moongate.cli
---@param config table
---@param host { stdout: table, stderr: table, control: table|nil }
---@return integer exit code
function M.run(args, config, host)
  host = { stdout = host.stdout, stderr = host.stderr, control = host.control or require "moongate.control" }
  local opened, diag = store.open { data_dir = config.data_dir }
  if not opened then
    complain(host, diag.where .. ": " .. diag.text)
    return FAILED
  end
  local code = COMMANDS[args.token_command](args, opened, host, config)
  opened:close()
  return code
end

return M
