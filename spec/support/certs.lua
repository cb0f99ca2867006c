-- Makes certificate authorities and certificates with the openssl command line, in a temporary directory that goes with the
-- process. For unit and flow specs alike: everything is there as text and as a file.
--
--   local root = certs.ca("Acme Root")                      -- { pem, key, path, key_path, name }
--   local client = certs.leaf(root, { cn = "pump-17" })     -- a client certificate, plus chain_path (leaf and issuer)
--   local server = certs.leaf(root, { cn = "a.test", eku = "serverAuth", san = "DNS:a.test" })
--   local sub = certs.ca("Acme Issuing", { issuer = root, path_length = 0 })
--
-- Options of both: subject ("/CN=…"), key (an entry of KEYS, or another certificate to share its key), digest, days,
-- not_before and not_after (UNIX seconds), signing (more words for the command that signs), extensions (lines that replace those
-- of the same name; "name=" drops one).

local M = {}

-- Arguments of `openssl req -newkey`.
local KEYS = {
  ["P-256"] = "ec -pkeyopt ec_paramgen_curve:P-256",
  ["P-384"] = "ec -pkeyopt ec_paramgen_curve:P-384",
  ["P-521"] = "ec -pkeyopt ec_paramgen_curve:P-521",
  ["P-224"] = "ec -pkeyopt ec_paramgen_curve:P-224",
  ["secp256k1"] = "ec -pkeyopt ec_paramgen_curve:secp256k1",
  ["brainpoolP256r1"] = "ec -pkeyopt ec_paramgen_curve:brainpoolP256r1",
  ["P-192"] = "ec -pkeyopt ec_paramgen_curve:P-192",
  ["P-256 explicit"] = "ec -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
  ["RSA 1024"] = "rsa:1024",
  ["RSA 2048"] = "rsa:2048",
  ["RSA 1536"] = "rsa:1536",
  ["RSA 2048, exponent 3"] = "rsa:2048 -pkeyopt rsa_keygen_pubexp:3",
  ["RSA 3072"] = "rsa:3072",
  ["RSA-PSS 2048"] = "rsa-pss -pkeyopt rsa_keygen_bits:2048",
  ["Ed25519"] = "ed25519",
  ["Ed448"] = "ed448",
}

local function run(command)
  -- A sanitizer that is preloaded for the core is not meant for the command line tool.
  local pipe = assert(io.popen("unset LD_PRELOAD; { " .. command .. "; } 2>&1; echo \"status=$?\""))
  local text = pipe:read("*a")
  pipe:close()
  local output, status = text:match("^(.*)status=(%d+)%s*$")
  if status ~= "0" then error(("%s\n%s"):format(command, output), 3) end
  return output
end

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local directory

--- The directory of everything made here; removed when the process ends.
---@return string
function M.directory()
  if not directory then
    directory = run("mktemp -d"):gsub("%s+$", "")
    local guard = newproxy(true)
    getmetatable(guard).__gc = function() os.execute("rm -rf " .. quote(directory)) end
    M.guard = guard
  end
  return directory
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function fresh_path(suffix)
  M.count = (M.count or 0) + 1
  return ("%s/%d%s"):format(M.directory(), M.count, suffix or "")
end

--- Writes `text` into a fresh file of the directory.
---@param text string
---@param suffix string?
---@return string path
function M.write(text, suffix)
  local path = fresh_path(suffix)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

-- Defaults overridden by name; the order of the lines stays.
local function merge_extensions(defaults, given)
  local lines, at = {}, {}
  for _, list in ipairs { defaults, given or {} } do
    for _, line in ipairs(list) do
      local name, value = line:match("^([^=]+)=(.*)$")
      if not at[name] then
        at[name] = #lines + 1
      end
      lines[at[name]] = value == "" and "" or line
    end
  end
  local kept = {}
  for _, line in ipairs(lines) do
    if line ~= "" then kept[#kept + 1] = line end
  end
  return table.concat(kept, "\n") .. "\n"
end

local function random_hex(digits)
  local file = assert(io.open("/dev/urandom", "rb"))
  local bytes = file:read(digits / 2)
  file:close()
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function asn1_time(seconds) return os.date("!%Y%m%d%H%M%SZ", seconds) end

-- `openssl x509` cannot say when a validity begins; `openssl ca` can, and wants a small office for it.
local function sign_with_dates(request, key_path, extensions, options, out)
  local office = fresh_path(".office")
  local issuer = options.issuer
  local config = ("[ca]\ndefault_ca=d\n[d]\ndatabase=%s/db\nnew_certs_dir=%s\nunique_subject=no\npolicy=p\n"
    .. "email_in_dn=yes\ndefault_md=%s\nrand_serial=yes\npreserve=yes\n[p]\n"):format(office, office, options.digest)
  for _, field in ipairs { "CN", "O", "OU", "C", "ST", "L", "emailAddress" } do config = config .. field .. "=optional\n" end
  local config_path = M.write(config .. "[ext]\n" .. extensions, ".cnf")
  return ("mkdir %s && touch %s/db && openssl ca -batch -notext -config %s -extensions ext -in %s -out %s "
    .. "-startdate %s -enddate %s %s"):format(office, office, config_path, request, out,
    asn1_time(options.not_before or os.time() - 86400), asn1_time(options.not_after or os.time() + 86400 * 30),
    issuer and ("-cert %s -keyfile %s"):format(issuer.path, issuer.key_path) or ("-selfsign -keyfile " .. key_path))
end

local function sign(request, key_path, extensions, options, out)
  local issuer = options.issuer
  return ("openssl x509 -req -in %s -days %d -%s -set_serial %s -extfile %s%s%s -out %s %s"):format(request,
    options.days or 30, options.digest, options.serial or ("0x5" .. random_hex(30)), M.write(extensions, ".ext"),
    options.public_key_path and (" -force_pubkey " .. options.public_key_path) or "",
    options.signing and (" " .. options.signing) or "", out,
    issuer and ("-CA %s -CAkey %s"):format(issuer.path, issuer.key_path) or ("-signkey " .. key_path))
end

local function issue(options, default_extensions)
  local issuer = options.issuer
  options.digest = options.digest or "sha256"
  local extensions = merge_extensions(default_extensions, options.extensions)
  local request, out = fresh_path(".csr"), fresh_path(".pem")
  local key_path, key_arguments
  if type(options.key) == "table" then
    key_path = options.key.key_path
    key_arguments = "-key " .. key_path
  else
    key_path = fresh_path(".key")
    local kind = assert(KEYS[options.key or "P-256"], "no such kind of key")
    key_arguments = ("-newkey %s -nodes -keyout %s"):format(kind, key_path)
  end
  run(("openssl req -new -batch -utf8 %s -subj %s -out %s && %s"):format(key_arguments, quote(options.subject), request,
    ((options.not_before or options.not_after) and sign_with_dates or sign)(request, key_path, extensions, options, out)))
  local made = { path = out, key_path = key_path, pem = read(out), key = read(key_path), name = options.subject }
  made.chain = issuer and made.pem .. (issuer.chain or issuer.pem) or made.pem
  made.chain_path = M.write(made.chain, ".chain.pem")
  return made
end

local function copy(options)
  local out = {}
  for key, value in pairs(options or {}) do out[key] = value end
  return out
end

--- A CA: self-signed, or below options.issuer.
---@param name string its common name, unless options.subject is given
---@param options table|nil path_length, and those above
---@return table certificate { pem, key, path, key_path, chain, chain_path }
function M.ca(name, options)
  options = copy(options)
  options.subject = options.subject or ("/CN=" .. name)
  return issue(options, {
    "basicConstraints=critical,CA:TRUE" .. (options.path_length and (",pathlen:" .. options.path_length) or ""),
    "keyUsage=critical,keyCertSign,cRLSign",
    "subjectKeyIdentifier=hash",
    "authorityKeyIdentifier=" .. (options.issuer and "keyid" or ""),
  })
end

--- An end-entity certificate; for a client unless `eku` says otherwise.
---@param ca table|nil its issuer; nil: self-signed
---@param options table|nil cn, eku (false: none), san, and those above
---@return table certificate
function M.leaf(ca, options)
  options = copy(options)
  options.issuer = ca
  options.subject = options.subject or ("/CN=" .. (options.cn or "leaf"))
  return issue(options, {
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=" .. (options.eku == false and "" or options.eku or "clientAuth"),
    "subjectKeyIdentifier=hash",
    "authorityKeyIdentifier=" .. (ca and "keyid" or ""),
    "subjectAltName=" .. (options.san or ""),
  })
end

--- A revocation list of a CA. Options: revoked (certificates of this module, or serial numbers in hex), this_update and next_update
--- (UNIX seconds), digest, extensions (lines of a CRL extension section).
---@param ca table
---@param options table|nil
---@return string pem
---@return string path
function M.crl(ca, options)
  options = options or {}
  local office = fresh_path(".crl-office")
  local lines = {}
  for i, one in ipairs(options.revoked or {}) do
    local serial = one
    if type(one) == "table" then serial = run("openssl x509 -noout -serial -in " .. one.path):match("=(%x+)") end
    lines[i] = ("R\t491231235959Z\t250101000000Z\t%s\tunknown\t/CN=x\n"):format(serial)
  end
  local config = ("[ca]\ndefault_ca=d\n[d]\ndatabase=%s/db\ndefault_md=%s\ncrl_extensions=ext\n[ext]\n%s\n"):format(office,
    options.digest or "sha256", table.concat(options.extensions or { "authorityKeyIdentifier=keyid" }, "\n"))
  local database, out = M.write(table.concat(lines)), fresh_path(".crl")
  local from = options.this_update or os.time() - 60
  run(("mkdir %s && cp %s %s/db && openssl ca -gencrl -config %s -cert %s -keyfile %s -crl_lastupdate %s %s -out %s"):format(
    office, database, office, M.write(config, ".cnf"), ca.path, ca.key_path, asn1_time(from),
    "-crl_nextupdate " .. asn1_time(options.next_update or os.time() + 86400), out))
  return read(out), out
end

--- The public key file of an RSA key that nobody has: any odd modulus will do for a certificate that is only presented.
---@param bits integer
---@return string path
function M.rsa_public_key(bits)
  local config = ("asn1=SEQUENCE:spki\n[spki]\na=SEQUENCE:alg\nk=BITWRAP,SEQUENCE:key\n[alg]\no=OID:rsaEncryption\nn=NULL\n"
    .. "[key]\nm=INTEGER:0x%sF1\ne=INTEGER:0x010001\n"):format(("C3"):rep(bits / 8 - 1))
  local der = M.write("", ".der")
  run(("openssl asn1parse -noout -genconf %s -out %s"):format(M.write(config, ".cnf"), der))
  local pem = M.write("", ".pub")
  run(("openssl pkey -pubin -inform DER -in %s -out %s"):format(der, pem))
  return pem
end

--- A certificate request, signed with its own key. Options: subject, key, extensions (lines of a [req_ext] section).
---@param options table|nil
---@return table request { pem, key, key_path, path }
function M.request(options)
  options = copy(options)
  local key_path, out = fresh_path(".key"), fresh_path(".csr")
  local config = "[req]\ndistinguished_name=dn\nreq_extensions=req_ext\n[dn]\n[req_ext]\n"
    .. table.concat(options.extensions or { "basicConstraints=CA:FALSE" }, "\n") .. "\n"
  run(("openssl req -new -batch -utf8 -config %s -newkey %s -nodes -keyout %s -subj %s -out %s"):format(
    M.write(config, ".cnf"), assert(KEYS[options.key or "P-256"], "no such kind of key"), key_path,
    quote(options.subject or "/CN=device"), out))
  return { pem = read(out), key = read(key_path), key_path = key_path, path = out }
end

-- A DER element; of less than 64 KiB.
local function element(tag, content)
  local size = #content
  local length = size < 128 and string.char(size) or size < 256 and string.char(0x81, size)
    or string.char(0x82, math.floor(size / 256), size % 256)
  return string.char(tag) .. length .. content
end

-- The order of P-256.
local ORDER = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551"

-- ORDER - number; both of 32 bytes.
local function from_order(number)
  local out, borrow = {}, 0
  for i = 32, 1, -1 do
    local digit = tonumber(ORDER:sub(2 * i - 1, 2 * i), 16) - number:byte(i) - borrow
    borrow = digit < 0 and 1 or 0
    out[i] = string.char(digit % 256)
  end
  return table.concat(out)
end

local function positive(number)
  number = number:gsub("^%z+", "")
  return element(2, (number:byte() >= 128 and "\0" or "") .. number)
end

--- The certificate with the other valid form of its issuer's signature, which anybody can make of (r, s): (r, n - s). For issuers
--- with a P-256 key.
---@param certificate table
---@return table certificate
function M.twin(certificate)
  local der_path = fresh_path(".der")
  run(("openssl x509 -in %s -outform DER -out %s"):format(certificate.path, der_path))
  local der = read(der_path)
  -- SEQUENCE { signed, algorithm, BIT STRING { no unused bits, SEQUENCE { r, s } } }; ecdsa-with-SHA256 stands once more at the end.
  local algorithm = "\48\10\6\8\42\134\72\206\61\4\3\2"
  local at, behind = 5, nil
  while true do
    local from, to = der:find(algorithm, at, true)
    if not from then break end
    at, behind = to + 1, to
  end
  local signature = der:sub(behind + 6)
  local r_size = signature:byte(2)
  local r, s = signature:sub(3, 2 + r_size), signature:sub(5 + r_size)
  s = ("\0"):rep(32) .. s
  local other = element(0x30, positive(r) .. positive(from_order(s:sub(-32))))
  local path = fresh_path(".pem")
  local twin = M.write(element(0x30, der:sub(5, behind) .. element(3, "\0" .. other)), ".der")
  run(("openssl x509 -inform DER -in %s -out %s"):format(twin, path))
  return { path = path, pem = read(path), key_path = certificate.key_path, key = certificate.key, name = certificate.name }
end

--- The certificate with other bytes signed: what no tool would issue. For issuers with a P-256 key.
---@param certificate table
---@param ca table its issuer
---@param edit fun(content: string): string what stands inside of the signed sequence → what is to stand there
---@return table certificate
function M.resigned(certificate, ca, edit)
  local der_path, path = fresh_path(".der"), fresh_path(".pem")
  run(("openssl x509 -in %s -outform DER -out %s"):format(certificate.path, der_path))
  local der = read(der_path)
  local high, low = der:byte(7, 8) -- both sequences are longer than 255 bytes
  local signed = element(0x30, edit(der:sub(9, 8 + high * 256 + low)))
  local signature_path = fresh_path(".sig")
  run(("openssl dgst -sha256 -sign %s -out %s %s"):format(ca.key_path, signature_path, M.write(signed, ".tbs")))
  local algorithm = element(0x30, "\6\8\42\134\72\206\61\4\3\2") -- ecdsa-with-SHA256
  local odd = M.write(element(0x30, signed .. algorithm .. element(3, "\0" .. read(signature_path))), ".der")
  run(("openssl x509 -inform DER -in %s -out %s"):format(odd, path))
  return { path = path, pem = read(path), key_path = certificate.key_path, key = certificate.key, name = certificate.name }
end

--- Runs `openssl …` and returns what it printed.
---@param arguments string
---@return string
function M.openssl(arguments) return run("openssl " .. arguments) end

return M
