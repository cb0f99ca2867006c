-- seeds.lua DIRECTORY
-- Writes the first corpus of every fuzz target: small, valid or nearly valid messages, one file each, into
-- DIRECTORY/<target>/. Called by spec/fuzz/run; nothing it writes is kept in the tree.

local directory = assert(arg[1], "usage: seeds.lua DIRECTORY")

local function write(target, list)
  os.execute(("mkdir -p '%s/%s'"):format(directory, target))
  for i, text in ipairs(list) do
    local file = assert(io.open(("%s/%s/seed-%02d"):format(directory, target, i), "wb"))
    file:write(text)
    file:close()
  end
end

-- The first byte of these targets carries flags and the size of the pieces.
local function flagged(list, flags)
  local out = {}
  for _, text in ipairs(list) do
    for flag in flags:gmatch(".") do out[#out + 1] = flag .. text end
  end
  return out
end

local REQUESTS = {
  "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
  "GET /a?b=c HTTP/1.0\r\n\r\n",
  "\r\nPOST /p HTTP/1.1\r\nHost: A.example.:8080\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: b\r\n\r\n",
  "PUT /p HTTP/1.1\r\nhost:[::1]:80\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    .. "5;a=\"b\\\"c\";d\r\nhello\r\n0a; e = f\r\n0123456789\r\n0\r\nX-Trailer: y\r\n\r\n",
  "GET http://a.example/p?q HTTP/1.1\r\nHost: a.example:80\r\nConnection: close, x\r\n\r\n",
  "GET https://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\n b\r\nX:\t y \t\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

local RESPONSES = {
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
    .. "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
  "HTTP/1.0 200\r\n\r\nuntil the end",
  "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
  "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
  "HTTP/1.1 999 \255\r\nTransfer-Encoding: gzip\r\n\r\n",
}

write("http_request", flagged(REQUESTS, "\0\1\2\26"))
write("http_response", flagged(RESPONSES, "\0\1\2\26"))
write("http_differential", flagged(REQUESTS, "\0\1"))
write("http_body", flagged({
  "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n",
  "5;a=b\r\nhello\r\nA;c=\"d\\\"\"\r\n0123456789\r\n000\r\nX: y\r\nZ:\r\n\r\nrest",
  "7fffffffffffffff\r\nx",
  "1; a = b ;c\r\nx\r\n0;e\r\n\r\n",
}, "\0\7"))
write("hostname", { "a.example", "A.EXAMPLE.:443", "[2001:db8::1]:80", "[::ffff:192.0.2.1]", "xn--a-0_b.", "192.0.2.1:",
  ("a"):rep(63) .. "." .. ("b"):rep(63) .. "." .. ("c"):rep(63) .. "." .. ("d"):rep(61) .. "." })

-- Certificates, lists and a ClientHello come from the openssl command.
package.path = "./?.lua;" .. package.path
local certs = require "spec.support.certs"

local function der(kind, path) return certs.openssl(("%s -outform DER -in %s"):format(kind, path)) end

local root = certs.ca("Root", { path_length = 1 })
local issuing = certs.ca("Issuing", { issuer = root })
local client = certs.leaf(issuing, { subject = "/C=NL/O=Acme, Inc./CN=pump", eku = "clientAuth,1.2.3.4",
  san = "DNS:a.test,DNS:*.b.test,URI:urn:x,email:p@a.test,IP:192.0.2.1,IP:2001:db8::1,RID:1.2.3,dirName:d\n[d]\nCN=x" })
local odd = certs.leaf(nil, { subject = "/CN=Zo\195\171\r\n/OU=x", serial = "-255", key = "RSA 2048",
  extensions = { "2.5.29.17=DER:3010820E612E74657374002E6576696C0A5C", "authorityKeyIdentifier=none" } })
local whole = der("x509", client.path) .. der("x509", issuing.path) .. der("x509", root.path)
write("tls_certificate", { whole, der("x509", client.path), der("x509", odd.path) .. der("x509", root.path), der("x509", root.path) })

local lists = {}
for i, options in ipairs {
  {}, { revoked = { client, "0A1B", "7F" } }, { extensions = { "2.5.29.27=critical,ASN1:INTEGER:1" } },
  { extensions = { "issuingDistributionPoint=critical,@p\n[p]\nfullname=URI:http://x.test/\nonlyuser=TRUE" } },
} do
  local _, path = certs.crl(root, options)
  lists[i] = der("crl", path)
end
write("tls_crl", lists)

local function u16(number) return string.char(math.floor(number / 256), number % 256) end
local function vector(body) return u16(#body) .. body end
local function extension(kind, body) return u16(kind) .. vector(body) end
local body = "\3\3" .. ("r"):rep(32) .. "\0" .. vector("\19\1\19\2\192\43\26\26") .. "\1\0"
  .. vector(extension(0, vector("\0" .. vector("a.test"))) .. extension(10, vector("\0\29\0\23")) .. extension(11, "\1\0")
    .. extension(13, vector("\4\3\8\4")) .. extension(16, vector("\2h2\8http/1.1")) .. extension(43, "\4\3\4\3\3") .. extension(23, ""))
write("tls_hello", { "\1\0" .. vector(body), "\1\0" .. vector("\3\1" .. ("r"):rep(32) .. "\0" .. vector("\0\47") .. "\1\0") })
