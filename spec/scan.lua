-- scan.lua — what testssl.sh says of a gateway with its default TLS terms and an uploaded certificate; run by
-- spec/scan. Fails on any finding above LOW.

dofile "spec/support/tree.lua"
local certs = require "spec.support.certs"
local dkjson = require "dkjson"
local gateway = require "spec.support.gateway"
local origin_support = require "spec.support.origin"
local shell = require "spec.support.shell"

local NAME = "www.example.com"
local ALLOWED = { OK = true, INFO = true, LOW = true }
-- What says something about the machine that scans, or about what the origin answers.
local NOT_OURS = { engine_problem = true, scanTime = true, scanProblem = true, security_headers = true }

local root = certs.ca "Scan root"
local server = certs.leaf(root, {
  cn = NAME, eku = "serverAuth", san = "DNS:" .. NAME, days = 90,
  extensions = { "crlDistributionPoints=URI:http://crl.example.com/root.crl" },
})
local origin = origin_support.start()
local gate = gateway.start { origin = origin }
gate:api("POST", ("/zones/%s/custom_certificates"):format(gate.zone),
  { certificate = server.pem, private_key = server.key, bundle_method = "force" })

local report = certs.directory() .. "/report.json"
io.stdout:write("scanning; this takes two minutes\n")
shell.run({ "testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "min", "--add-ca", root.path, "--ip",
  "127.0.0.1", "--jsonfile", report, ("%s:%d"):format(NAME, gate.port) }, { seconds = 900 })
local findings = assert(dkjson.decode(shell.read(report)), "testssl.sh wrote no report")
gate:stop()
origin:stop()

local counts, failed, passed = {}, 0, 0
for _, finding in ipairs(findings) do
  counts[finding.severity] = (counts[finding.severity] or 0) + 1
  if ALLOWED[finding.severity] or NOT_OURS[finding.id] then
    passed = passed + 1
  else
    failed = failed + 1
    print(("%s %s: %s"):format(finding.severity, finding.id, finding.finding))
  end
end
local names = {}
for severity in pairs(counts) do names[#names + 1] = severity end
table.sort(names)
for index, severity in ipairs(names) do names[index] = ("%d %s"):format(counts[severity], severity) end
print(table.concat(names, ", "))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0 and 0 or 1)
