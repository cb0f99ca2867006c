-- The TLS floor and the few OpenSSL functions that its specs need, declared for LuaJIT's FFI; plus the conversions between
-- them and Lua. Used by spec/core/tls only. Returns a table: C (the unit library, where OpenSSL is found too), helpers.

local ffi = require "ffi"
local unit = require "spec.support.unit"

local M = {}

local OPENSSL = [[
typedef struct x509_st X509;
typedef struct X509_name_st X509_NAME;
typedef struct x509_store_ctx_st X509_STORE_CTX;
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct bio_st BIO;
typedef struct asn1_string_st ASN1_STRING;
typedef struct asn1_string_st ASN1_INTEGER;
typedef struct bio_method_st BIO_METHOD;
typedef struct ssl_method_st SSL_METHOD;
struct moon_diag { char where[256]; char text[768]; };

int setenv(const char *, const char *, int);
int unsetenv(const char *);
BIO *BIO_new_mem_buf(const void *, int);
BIO *BIO_new(const BIO_METHOD *);
const BIO_METHOD *BIO_s_mem(void);
int BIO_free(BIO *);
int BIO_read(BIO *, void *, int);
int BIO_write(BIO *, const void *, int);
size_t BIO_ctrl_pending(BIO *);
X509 *PEM_read_bio_X509(BIO *, X509 **, void *, void *);
EVP_PKEY *PEM_read_bio_PrivateKey(BIO *, EVP_PKEY **, void *, void *);
void X509_free(X509 *);
int X509_cmp(const X509 *, const X509 *);
const ASN1_INTEGER *X509_get0_serialNumber(const X509 *);
void EVP_PKEY_free(EVP_PKEY *);
int X509_NAME_print_ex(BIO *, const X509_NAME *, int, unsigned long);
void X509_NAME_free(X509_NAME *);
void *OPENSSL_sk_new_null(void);
int OPENSSL_sk_push(void *, const void *);
int OPENSSL_sk_num(const void *);
void *OPENSSL_sk_value(const void *, int);
void OPENSSL_sk_free(void *);
void OPENSSL_sk_pop_free(void *, void (*)(void *));
const SSL_METHOD *TLS_client_method(void);
SSL_CTX *SSL_CTX_new(const SSL_METHOD *);
void SSL_CTX_free(SSL_CTX *);
long SSL_CTX_ctrl(SSL_CTX *, int, long, void *);
int SSL_CTX_set_cipher_list(SSL_CTX *, const char *);
uint64_t SSL_CTX_set_options(SSL_CTX *, uint64_t);
int SSL_CTX_use_certificate(SSL_CTX *, X509 *);
int SSL_CTX_use_PrivateKey(SSL_CTX *, EVP_PKEY *);
int SSL_CTX_set_alpn_protos(SSL_CTX *, const unsigned char *, unsigned);
void SSL_CTX_set_security_level(SSL_CTX *, int);
SSL *SSL_new(SSL_CTX *);
void SSL_free(SSL *);
void SSL_set_bio(SSL *, BIO *, BIO *);
void SSL_set_connect_state(SSL *);
int SSL_do_handshake(SSL *);
int SSL_read(SSL *, void *, int);
int SSL_write(SSL *, const void *, int);
int SSL_shutdown(SSL *);
int SSL_get_error(const SSL *, int);
int SSL_key_update(SSL *, int);
int SSL_renegotiate(SSL *);
long SSL_ctrl(SSL *, int, long, void *);
const char *SSL_get_version(const SSL *);
const char *SSL_get_cipher_name(const SSL *);
void *SSL_get0_peer_CA_list(const SSL *);
X509 *SSL_get1_peer_certificate(const SSL *);
int SSL_session_reused(const SSL *);
void *SSL_get1_session(SSL *);
int SSL_set_session(SSL *, void *);
void SSL_SESSION_free(void *);
int SSL_SESSION_is_resumable(const void *);
void SSL_set_verify(SSL *, int, void *);
void SSL_set_msg_callback(SSL *, void (*)(int, int, int, const void *, size_t, SSL *, void *));
void SSL_get0_alpn_selected(const SSL *, const unsigned char **, unsigned *);
unsigned long ERR_peek_last_error(void);
const char *ERR_reason_error_string(unsigned long);
void ERR_clear_error(void);
]]

local HEADERS = { "tls/crypto.h", "tls/serials.h", "tls/crl.h", "tls/trust.h", "tls/texts.h", "tls/hello_trace.h", "tls/verified.h", "tls/peer.h", "tls/ciphers.h", "tls/policy.h",
  "tls/sessions.h", "tls/hello.h", "tls/client.h",
  "tls/certificate.h", "tls/local_ca.h", "tls/session.h", "tls/keyring.h", "tls/managed_ca.h" }

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- busted forgets modules between spec files, LuaJIT does not forget declarations (spec/support/unit.lua).
local registry = debug.getregistry()

M.C = unit.load { "base/str.h", "base/buf.h", "base/hostname.h" }
if not registry["moongate.spec.tls"] then
  registry["moongate.spec.tls"] = true
  ffi.cdef(OPENSSL)
  for _, header in ipairs(HEADERS) do
    ffi.cdef((unit.declarations("\n" .. read("core/" .. header)):gsub("STACK_OF%(([%w_]+)%)", "struct stack_st_%1")))
  end
end

local C = M.C
C.moon_crypto_init()

M.str, M.text = unit.str, unit.text

--- Names of our error codes by number, read from include/moongate/error.h.
M.errors = { [0] = "OK" }
for name, number in read("core/include/moongate/error.h"):gmatch("X%((%u+), (%-%d+),") do M.errors[tonumber(number)] = name end

--- A fresh diagnostic; text(diag) and where(diag) read it.
function M.diag() return ffi.new("struct moon_diag") end
function M.told(diag) return ffi.string(diag.where), ffi.string(diag.text) end

--- The first certificate of a PEM text; freed with the value.
---@param pem string
---@return ffi.cdata* X509
function M.x509(pem)
  local bio = C.BIO_new_mem_buf(pem, #pem)
  local certificate = C.PEM_read_bio_X509(bio, nil, nil, nil)
  C.BIO_free(bio)
  assert(certificate ~= nil, "no certificate in the text")
  return ffi.gc(certificate, C.X509_free)
end

function M.private_key(pem)
  local bio = C.BIO_new_mem_buf(pem, #pem)
  local key = C.PEM_read_bio_PrivateKey(bio, nil, nil, nil)
  C.BIO_free(bio)
  assert(key ~= nil, "no private key in the text")
  return ffi.gc(key, C.EVP_PKEY_free)
end

local alive = setmetatable({}, { __mode = "k" })

--- A stack of certificates; keeps them alive.
---@param list ffi.cdata*[]
---@return ffi.cdata* STACK_OF(X509)
function M.stack(list)
  local stack = C.OPENSSL_sk_new_null()
  for _, certificate in ipairs(list) do assert(C.OPENSSL_sk_push(stack, certificate) > 0) end
  local box = ffi.gc(ffi.cast("struct stack_st_X509 *", stack), C.OPENSSL_sk_free)
  alive[box] = list
  return box
end

--- The names of a STACK_OF(X509_NAME), borrowed, as RFC 2253 texts.
function M.names(stack)
  local list = {}
  if stack == nil then return list end
  for i = 0, C.OPENSSL_sk_num(stack) - 1 do
    local bio = C.BIO_new(C.BIO_s_mem())
    C.X509_NAME_print_ex(bio, ffi.cast("X509_NAME *", C.OPENSSL_sk_value(stack, i)), 0, 0x1110317)
    local size = tonumber(C.BIO_ctrl_pending(bio))
    local room = ffi.new("char[?]", size + 1)
    C.BIO_read(bio, room, size)
    C.BIO_free(bio)
    list[#list + 1] = ffi.string(room, size)
  end
  return list
end

local function unref_of(name)
  return function(pointer)
    local box = ffi.new("struct " .. name .. "*[1]", pointer)
    C[name .. "_unref"](box)
  end
end

--- A trust set of PEM texts, or nil with the diagnostic's two texts.
---@param ... string
function M.trust(...)
  local pems = { ... }
  local list = ffi.new("struct moon_str[?]", math.max(#pems, 1))
  for i, pem in ipairs(pems) do list[i - 1] = M.str(pem) end
  local out, diag = ffi.new("struct moon_trust *[1]"), M.diag()
  local code = C.moon_trust_new(out, list, #pems, diag)
  if code ~= 0 then
    assert(out[0] == nil)
    return nil, M.told(diag)
  end
  return ffi.gc(out[0], unref_of("moon_trust"))
end

--- A revocation list (PEM or DER) of the CA `issuer` (PEM), or nil with the diagnostic's two texts.
function M.crl(text, issuer)
  local out, diag = ffi.new("struct moon_crl *[1]"), M.diag()
  if C.moon_crl_new(out, M.str(text), M.str(issuer), diag) ~= 0 then
    assert(out[0] == nil)
    return nil, M.told(diag)
  end
  return ffi.gc(out[0], unref_of("moon_crl"))
end

local USAGE = { require = 0, warn = 1, ignore = 2 }

--- A trust set with options: pems (PEM texts), crls ({ crl, soft }), denials ({ ca (fingerprint or ""), certificate }), usage.
function M.trust_with(options)
  local given, diag, out = ffi.new("struct moon_trust_options"), M.diag(), ffi.new("struct moon_trust *[1]")
  local pems = ffi.new("struct moon_str[?]", #options.pems + 1)
  for i, pem in ipairs(options.pems) do pems[i - 1] = M.str(pem) end
  local crls = ffi.new("struct moon_trust_crl[?]", #(options.crls or {}) + 1)
  for i, one in ipairs(options.crls or {}) do crls[i - 1].crl, crls[i - 1].soft = one[1], one.soft or false end
  local denials = ffi.new("struct moon_trust_denial[?]", #(options.denials or {}) + 1)
  for i, one in ipairs(options.denials or {}) do denials[i - 1].ca, denials[i - 1].certificate = M.str(one[1]), M.str(one[2]) end
  given.pems, given.pem_count = pems, #options.pems
  given.crls, given.crl_count = crls, #(options.crls or {})
  given.denials, given.denial_count = denials, #(options.denials or {})
  given.usage = USAGE[options.usage or "require"]
  if C.moon_trust_build(out, given, diag) ~= 0 then
    assert(out[0] == nil)
    return nil, M.told(diag)
  end
  return ffi.gc(out[0], unref_of("moon_trust"))
end

--- A policy for a certificate of spec.support.certs; min_version 0x0303 (TLS 1.2) by default.
---@param certificate table { chain, key }
---@param options { max_version: integer, ciphers: string[], second: table, strict: boolean }|nil
function M.policy(certificate, min_version, options)
  local terms, diag = ffi.new("struct moon_tls_terms"), M.diag()
  options = options or {}
  terms.min_version = min_version or 0x0303
  terms.max_version, terms.strict_name = options.max_version or 0, options.strict or false
  local names = ffi.new("struct moon_str[?]", #(options.ciphers or {}) + 1)
  for i, name in ipairs(options.ciphers or {}) do names[i - 1] = M.str(name) end
  terms.ciphers, terms.cipher_count = names, #(options.ciphers or {})
  if options.second then
    terms.second_certificates, terms.second_private_key = M.str(options.second.chain), M.str(options.second.key)
  end
  terms.certificates, terms.private_key = M.str(certificate.chain), M.str(certificate.key)
  local out = ffi.new("struct moon_tls_policy *[1]")
  if C.moon_tls_policy_new(out, terms, diag) ~= 0 then
    assert(out[0] == nil)
    return nil, M.told(diag)
  end
  return ffi.gc(out[0], unref_of("moon_tls_policy"))
end

--- Terms toward an origin: { verify, ca, certificates, private_key }.
function M.client(options)
  local terms, diag = ffi.new("struct moon_tls_client_terms"), M.diag()
  terms.verify = options.verify ~= false
  for _, name in ipairs { "ca", "certificates", "private_key" } do
    if options[name] then terms[name] = M.str(options[name]) end
  end
  local out = ffi.new("struct moon_tls_client *[1]")
  if C.moon_tls_client_new(out, terms, diag) ~= 0 then
    assert(out[0] == nil)
    return nil, M.told(diag)
  end
  return ffi.gc(out[0], unref_of("moon_tls_client"))
end

--- The facts of a request as a plain table.
function M.facts(peer, trust, now)
  local box = ffi.new("struct moon_certificate_facts")
  C.moon_peer_facts(peer, trust, now, box)
  local told = { presented = box.presented, verified = box.verified, revoked = box.revoked, error = box.verify_error,
    lacks_usage = box.lacks_usage }
  for _, name in ipairs { "subject_dn", "issuer_dn", "issuer_ski", "ski", "serial", "fingerprint_sha256" } do
    told[name] = M.certificate_text(box.peer, name)
  end
  return told
end

--- A text of a peer by the name of its field ("subject_dn"), and whether it is too large; its lists likewise ("san_dns").
function M.certificate_text(peer, name)
  local view = ffi.new("struct moon_str")
  local code = C.moon_peer_text(peer, C["MOON_CERTIFICATE_" .. name:upper()], view)
  return unit.text(view), code == 1
end

function M.certificate_list(peer, name)
  local view, list = ffi.new("struct moon_str"), {}
  while C.moon_peer_entry(peer, C["MOON_CERTIFICATE_" .. name:upper()], #list, view) do list[#list + 1] = unit.text(view) end
  return list
end

return M
