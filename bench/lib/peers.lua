-- peers.lua — nginx, nginx with Lua and HAProxy under test: their configurations, equal in work to ours and tuned as
-- their manuals advise (shared ports, keep-alive without end on both sides, buffered logs where they exist), and
-- starting them.
--
-- Two settings of each where handshakes are measured: stock, which issues stateless tickets, and best, with tickets
-- off and a shared session cache, which spares them the serialising of sessions.

local process = require "process"

local M = {}

local CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
  .. "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"

-- $NAME and ${NAME} are nginx's; what is ours to fill in stands as @NAME@.
local function fill(text, values)
  return (text:gsub("@([%w_]+)@", function(key) return assert(values[key], key) end))
end

-- ---- nginx ----

local NGINX = [[
@modules@
@user@
daemon off;
worker_processes @workers@;
worker_rlimit_nofile 20000;
pid @dir@/nginx.pid;
error_log @dir@/error.log warn;
events { worker_connections 16384; }
http {
  @lua_paths@
  @before@
  log_format line escape=json '{"time":"$time_iso8601","client":"$remote_addr","connection":$connection,'
    '"method":"$request_method","host":"$host","path":"$uri","status":$status,"sent":$body_bytes_sent,'
    '"received":$request_length,"seconds":$request_time,"verified":"$ssl_client_verify"}';
  access_log @dir@/access.log line buffer=64k flush=1s;
  default_type application/octet-stream;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  client_body_temp_path @dir@/body;
  proxy_temp_path @dir@/proxy;
  fastcgi_temp_path @dir@/fastcgi;
  uwsgi_temp_path @dir@/uwsgi;
  scgi_temp_path @dir@/scgi;
  client_max_body_size 0;
  client_body_buffer_size 128k;
  proxy_request_buffering off;
  proxy_buffer_size 16k;
  proxy_buffers 16 32k;
  proxy_busy_buffers_size 128k;
  proxy_max_temp_file_size 0;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  ssl_certificate @server@;
  ssl_certificate_key @server@;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_ciphers @ciphers@;
  ssl_prefer_server_ciphers on;
  ssl_ecdh_curve X25519:prime256v1;
  @sessions@
  upstream origin {
    server @origin@;
    keepalive 64;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:@https@ ssl reuseport backlog=1024;
    listen 127.0.0.1:@http@ reuseport backlog=1024;
    server_name _;
    ssl_verify_client optional;
    ssl_client_certificate @ca@;
    @rules@
    location / {
      @access@
      proxy_pass http://origin;
    }
    location = /blocked { return 403; }
  }
}
]]

local BEST_SESSIONS = "ssl_session_tickets off; ssl_session_cache shared:bench:50m; ssl_session_timeout 5m;"

local function each(list, format)
  local lines = {}
  for index, value in ipairs(list) do lines[index] = format:format(value) end
  return table.concat(lines, "\n")
end

-- A host is looked up in a map, paths are tried one after the other: the best that nginx's own words can do for each.
local function nginx_rules(options)
  if options.hosts then
    return "map_hash_max_size 65536; map_hash_bucket_size 128;\nmap $host $guarded { default 0;\n"
      .. each(options.hosts, "%s 1;") .. "\n}\nmap $ssl_client_verify $unverified { default 1; SUCCESS 0; }",
      "set $case $guarded$unverified;\nif ($case = 11) { return 403; }"
  elseif options.needles then
    return "map $uri $denied { default 0;\n" .. each(options.needles, "~%s 1;") .. "\n}", "if ($denied) { return 403; }"
  end
  return "", [[
    set $open 0;
    if ($host != api.example.com) { set $open 1; }
    if ($ssl_client_verify = SUCCESS) { set $open 1; }
    if ($open = 0) { return 403; }]]
end

local function nginx_lua_rules(options)
  local before, access
  if options.hosts then
    before = "guarded = {}\n" .. each(options.hosts, "guarded[%q] = true")
    access = "if rules.guarded[ngx.var.host] and ngx.var.ssl_client_verify ~= 'SUCCESS' then return ngx.exit(403) end"
  elseif options.needles then
    before = "needles = {" .. each(options.needles, "%q,") .. "}"
    access = "local uri, find = ngx.var.uri, string.find\n"
      .. "for _, needle in ipairs(rules.needles) do if find(uri, needle, 1, true) then return ngx.exit(403) end end"
  else
    before = "guarded = { ['api.example.com'] = true }"
    access = "if rules.guarded[ngx.var.host] and ngx.var.ssl_client_verify ~= 'SUCCESS' then return ngx.exit(403) end"
  end
  return before, ("access_by_lua_block {\nlocal rules = require 'bench_rules'\n%s\n}"):format(access)
end

local function library_path(peers)
  return (process.output(("find %s -type d -path '*/lib/*-linux-gnu' | paste -sd: -"):format(process.quote(peers)))
    :gsub("%s+$", ""))
end

local function start_nginx(options, server)
  local peers, dir = options.peers, server.dir
  local with_lua = options.name:find("lua", 1, true) ~= nil
  local before, rules = nginx_rules(options)
  local values = {
    modules = "", user = process.output("id -u"):match("^0") and "user root;" or "", workers = options.workers,
    dir = dir, lua_paths = "", before = before, rules = rules, access = "", server = options.pki.server,
    ca = options.pki.ca, ciphers = CIPHERS, sessions = options.best and BEST_SESSIONS or "",
    origin = options.origin:match("^http://(.+)$"), https = server.https, http = server.http,
  }
  if with_lua then
    local module, access = nginx_lua_rules(options)
    process.write(dir .. "/bench_rules.lua", "local _ENV_ = {}\nsetfenv(1, _ENV_)\n" .. module .. "\nreturn _ENV_\n")
    values.modules = each({ "ndk_http_module", "ngx_http_lua_module" },
      "load_module " .. peers .. "/usr/lib/nginx/modules/%s.so;")
    values.lua_paths = ('lua_package_path "%s/?.lua;%s/usr/share/lua/5.1/?.lua;;";'):format(dir, peers)
    values.before, values.rules, values.access = "", "", access
  end
  process.write(dir .. "/nginx.conf", fill(NGINX, values))
  return ("env LD_LIBRARY_PATH=%s %s/usr/sbin/nginx -p %s -c %s/nginx.conf -e %s/error.log"):format(
    library_path(peers), peers, dir, dir, dir)
end

-- ---- HAProxy ----

-- Its log goes to a descriptor, a line at a time: it has no buffered log of its own.
local HAPROXY = [[
global
  nbthread @workers@
  maxconn 8000
  log stdout len 1024 format raw local0 info
  ssl-default-bind-ciphers @ciphers@
  ssl-default-bind-curves X25519:P-256
  ssl-default-bind-options ssl-min-ver TLSv1.2 @bind_options@
  tune.ssl.cachesize 100000
defaults
  mode http
  log global
  timeout client 75s
  timeout http-keep-alive 75s
  timeout http-request 30s
  timeout connect 10s
  timeout server 60s
  option http-keep-alive
  http-reuse always
  log-format '@line@'
frontend front
  bind 127.0.0.1:@https@ shards by-thread ssl crt @server@ alpn http/1.1 @verify@
  bind 127.0.0.1:@http@ shards by-thread
  http-request set-var(txn.host) req.hdr(host),host_only,lower
@rules@
  http-request deny deny_status 403 if { path /blocked }
  option forwardfor
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  default_backend origin
backend origin
  server origin @origin@ pool-max-conn 64
]]

local HAPROXY_LINE = '{"time":"%Tl","client":"%ci","connection":%rt,"method":"%HM","host":"%[var(txn.host)]",'
  .. '"path":"%HPO","status":%ST,"sent":%B,"received":%U,"ms":%Ta,"verified":"%[ssl_c_verify]"}'

local function haproxy_rules(options, dir)
  if options.needles then
    return each(options.needles, "  http-request deny deny_status 403 if { path -m sub %s }")
  end
  process.write(dir .. "/hosts", table.concat(options.hosts or { "api.example.com" }, "\n") .. "\n")
  return ([[
  acl guarded var(txn.host) -m str -f %s/hosts
  acl verified ssl_c_used
  acl verified_well ssl_c_verify 0
  http-request deny deny_status 403 if guarded !verified
  http-request deny deny_status 403 if guarded !verified_well]]):format(dir)
end

local function start_haproxy(options, server)
  process.write(server.dir .. "/haproxy.cfg", fill(HAPROXY, {
    workers = options.workers, ciphers = CIPHERS, https = server.https, http = server.http, server = options.pki.server,
    rules = haproxy_rules(options, server.dir), origin = options.origin:match("^http://(.+)$"),
    line = HAPROXY_LINE,
    verify = ("ca-file %s verify optional crt-ignore-err all ca-ignore-err all"):format(options.pki.ca),
    bind_options = options.best and "no-tls-tickets" or "",
  }))
  return ("env LD_LIBRARY_PATH=%s %s/usr/sbin/haproxy -db -f %s/haproxy.cfg"):format(
    library_path(options.peers), options.peers, server.dir)
end

--- Starts a peer.
---@param options bench.settings
---@return bench.server
function M.start(options)
  local dir = ("%s/%s"):format(options.work, options.name)
  process.output(("rm -rf %s && mkdir -p %s"):format(process.quote(dir), process.quote(dir)))
  local server = { name = options.name, dir = dir, https = process.free_port(), http = process.free_port() }
  local is_nginx = options.name:find("nginx", 1, true) ~= nil
  local command = (is_nginx and start_nginx or start_haproxy)(options, server)
  server.log = dir .. (is_nginx and "/access.log" or "/output")
  server.pid = process.start(options.work, command, dir .. "/output")
  process.wait(options.name, 30, function()
    if not process.runs(server.pid) then
      local said = process.read(dir .. "/output") .. process.read(dir .. "/error.log")
      error(("%s did not start: %s"):format(options.name, said), 0)
    end
    return process.listens(server.https) and process.listens(server.http)
  end)
  return server
end

--- Empties the log.
---@return integer  lines lost: 0, they write what they log
function M.forget_log(server)
  process.write(server.log, "")
  return 0
end

return M
